-- Executions are found by the name that their author gave them. Most have none, and cost nothing here.
CREATE INDEX execution_business_key ON execution (business_key) WHERE business_key <> '';

-- Which execution started it; those of before were started by people.
ALTER TABLE execution ADD COLUMN parent_id TEXT NOT NULL DEFAULT '';
