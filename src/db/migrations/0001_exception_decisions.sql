DROP INDEX "cutover_control"."migration_log_once";--> statement-breakpoint
ALTER TABLE "cutover_control"."migration_log" ADD COLUMN "request" text DEFAULT '' NOT NULL;--> statement-breakpoint
CREATE UNIQUE INDEX "migration_log_once" ON "cutover_control"."migration_log" USING btree ("run_id","phase","action","request");--> statement-breakpoint
ALTER TABLE "cutover_control"."run_phases" ADD COLUMN "exceptions_seen" text;--> statement-breakpoint
ALTER TABLE "cutover_control"."run_exceptions" ADD COLUMN "exception_id" bigint;--> statement-breakpoint
ALTER TABLE "cutover_control"."run_exceptions" ADD COLUMN "sort_key" text COLLATE "C";--> statement-breakpoint
ALTER TABLE "cutover_control"."run_exceptions" ADD COLUMN "acceptable" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "cutover_control"."run_exceptions" ADD COLUMN "message" text;--> statement-breakpoint
ALTER TABLE "cutover_control"."run_exceptions" ADD COLUMN "statement" text;--> statement-breakpoint
ALTER TABLE "cutover_control"."run_exceptions" ADD COLUMN "parameters" jsonb;--> statement-breakpoint
ALTER TABLE "cutover_control"."run_exceptions" ADD COLUMN "status" text DEFAULT 'open' NOT NULL;--> statement-breakpoint
ALTER TABLE "cutover_control"."run_exceptions" ADD COLUMN "note" text;--> statement-breakpoint
ALTER TABLE "cutover_control"."run_exceptions" ADD COLUMN "value" jsonb;--> statement-breakpoint
ALTER TABLE "cutover_control"."run_exceptions" ADD COLUMN "decided_by" text;--> statement-breakpoint
ALTER TABLE "cutover_control"."run_exceptions" ADD COLUMN "decided_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "cutover_control"."run_exceptions" ADD COLUMN "revision" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
-- Release 0.1.0 told exceptions apart by their rows. Those that it left get numbers in the order in which it listed them.
UPDATE "cutover_control"."run_exceptions" AS e SET "exception_id" = numbered.n, "sort_key" = left(e."key", 500)
  FROM (SELECT "run_id", "phase", "key", "kind",
               row_number() OVER (PARTITION BY "run_id" ORDER BY "key", "phase", "kind") AS n
          FROM "cutover_control"."run_exceptions") AS numbered
 WHERE (e."run_id", e."phase", e."key", e."kind") = (numbered."run_id", numbered."phase", numbered."key", numbered."kind");--> statement-breakpoint
ALTER TABLE "cutover_control"."run_exceptions" ALTER COLUMN "exception_id" SET NOT NULL;--> statement-breakpoint
ALTER TABLE "cutover_control"."run_exceptions" ALTER COLUMN "sort_key" SET NOT NULL;--> statement-breakpoint
ALTER TABLE "cutover_control"."run_exceptions" DROP CONSTRAINT "run_exceptions_run_id_phase_key_kind_pk";--> statement-breakpoint
ALTER TABLE "cutover_control"."run_exceptions" ADD CONSTRAINT "run_exceptions_run_id_exception_id_pk" PRIMARY KEY("run_id","exception_id");--> statement-breakpoint
CREATE INDEX "run_exceptions_in_order" ON "cutover_control"."run_exceptions" USING btree ("run_id","sort_key","exception_id");
