-- Executions are found by the name that their author gave them. Most have none, and cost nothing here.
CREATE INDEX execution_business_key ON execution (business_key) WHERE business_key <> '';
