CREATE SCHEMA "cutover_control";
--> statement-breakpoint
CREATE TABLE "cutover_control"."audit_trail" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"actor" text NOT NULL,
	"role" text NOT NULL,
	"action" text NOT NULL,
	"subject" text NOT NULL,
	"accepted" boolean NOT NULL,
	"details" jsonb DEFAULT '{}'::jsonb NOT NULL
);
--> statement-breakpoint
CREATE TABLE "cutover_control"."dry_runs" (
	"id" text PRIMARY KEY NOT NULL,
	"plan_name" text NOT NULL,
	"plan_version" integer NOT NULL,
	"target" text NOT NULL,
	"performed_by" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"finished_at" timestamp with time zone,
	"phases" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"report" jsonb
);
--> statement-breakpoint
CREATE TABLE "cutover_control"."gate_measurements" (
	"run_id" text NOT NULL,
	"phase" text NOT NULL,
	"percentage" double precision NOT NULL,
	"gate" text NOT NULL,
	"sequence" integer NOT NULL,
	"value" double precision,
	"verdict" text NOT NULL,
	"reason" text NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "gate_measurements_run_id_phase_percentage_gate_sequence_pk" PRIMARY KEY("run_id","phase","percentage","gate","sequence")
);
--> statement-breakpoint
CREATE TABLE "cutover_control"."migration_log" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"run_id" text NOT NULL,
	"plan_name" text NOT NULL,
	"target" text NOT NULL,
	"phase" text NOT NULL,
	"table_name" text NOT NULL,
	"action" text NOT NULL,
	"processed" bigint DEFAULT 0 NOT NULL,
	"succeeded" bigint DEFAULT 0 NOT NULL,
	"skipped" bigint DEFAULT 0 NOT NULL,
	"ambiguous" bigint DEFAULT 0 NOT NULL,
	"failed" bigint DEFAULT 0 NOT NULL,
	"error_details" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"performed_by" text NOT NULL,
	"started_at" timestamp with time zone DEFAULT now() NOT NULL,
	"finished_at" timestamp with time zone,
	"outcome" text
);
--> statement-breakpoint
CREATE TABLE "cutover_control"."plans" (
	"name" text NOT NULL,
	"version" integer NOT NULL,
	"hash" text NOT NULL,
	"document" jsonb NOT NULL,
	"registered_by" text NOT NULL,
	"registered_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "plans_name_version_pk" PRIMARY KEY("name","version")
);
--> statement-breakpoint
CREATE TABLE "cutover_control"."run_events" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"run_id" text NOT NULL,
	"key" text,
	"type" text NOT NULL,
	"phase" text,
	"message" text NOT NULL,
	"data" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "cutover_control"."run_exceptions" (
	"run_id" text NOT NULL,
	"phase" text NOT NULL,
	"key" text NOT NULL,
	"kind" text NOT NULL,
	"reason" text NOT NULL,
	"suggestion" jsonb,
	"sqlstate" text,
	"recorded_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "run_exceptions_run_id_phase_key_kind_pk" PRIMARY KEY("run_id","phase","key","kind")
);
--> statement-breakpoint
CREATE TABLE "cutover_control"."run_phases" (
	"run_id" text NOT NULL,
	"position" integer NOT NULL,
	"name" text NOT NULL,
	"kind" text NOT NULL,
	"state" text NOT NULL,
	"summary" text,
	"progress" jsonb,
	"started_at" timestamp with time zone,
	"finished_at" timestamp with time zone,
	CONSTRAINT "run_phases_run_id_name_pk" PRIMARY KEY("run_id","name")
);
--> statement-breakpoint
CREATE TABLE "cutover_control"."runs" (
	"id" text PRIMARY KEY NOT NULL,
	"plan_name" text NOT NULL,
	"plan_version" integer NOT NULL,
	"plan_hash" text NOT NULL,
	"target" text NOT NULL,
	"status" text NOT NULL,
	"phase" text,
	"reason" text,
	"time_scale" real DEFAULT 1 NOT NULL,
	"batch_size" integer,
	"started_by" text NOT NULL,
	"starter_role" text NOT NULL,
	"idempotency_key" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	"finished_at" timestamp with time zone
);
--> statement-breakpoint
ALTER TABLE "cutover_control"."run_phases" ADD CONSTRAINT "run_phases_run_id_runs_id_fk" FOREIGN KEY ("run_id") REFERENCES "cutover_control"."runs"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "audit_trail_subject" ON "cutover_control"."audit_trail" USING btree ("subject","id");--> statement-breakpoint
CREATE UNIQUE INDEX "migration_log_once" ON "cutover_control"."migration_log" USING btree ("run_id","phase","action");--> statement-breakpoint
CREATE INDEX "plans_name_hash" ON "cutover_control"."plans" USING btree ("name","hash");--> statement-breakpoint
CREATE INDEX "run_events_run" ON "cutover_control"."run_events" USING btree ("run_id","id");--> statement-breakpoint
CREATE UNIQUE INDEX "run_events_key" ON "cutover_control"."run_events" USING btree ("run_id","key");--> statement-breakpoint
CREATE UNIQUE INDEX "runs_one_active_per_plan_and_target" ON "cutover_control"."runs" USING btree ("plan_name","target") WHERE "cutover_control"."runs"."finished_at" IS NULL;--> statement-breakpoint
CREATE UNIQUE INDEX "runs_idempotency_key" ON "cutover_control"."runs" USING btree ("idempotency_key");--> statement-breakpoint
CREATE INDEX "runs_created_at" ON "cutover_control"."runs" USING btree ("created_at");