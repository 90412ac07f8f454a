DROP INDEX "cutover_control"."plans_name_hash";--> statement-breakpoint
CREATE INDEX "plans_name_hash" ON "cutover_control"."plans" USING btree ("name","hash");