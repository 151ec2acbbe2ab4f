-- +goose Up

-- Versions of the grading rules (points, thresholds, plans) that were proposed, and what a second person said to them. One in force decides
-- about every grading from its effective day on, until a later one does.
CREATE TABLE grade_rules (
	id          TEXT   PRIMARY KEY, -- version and content
	version     TEXT   NOT NULL UNIQUE,
	effective   TEXT   NOT NULL,    -- first day, YYYY-MM-DD
	body        TEXT   NOT NULL,    -- YAML, as ticket/grade/rules.yaml
	note        TEXT   NOT NULL,    -- what changes, and why
	state       TEXT   NOT NULL,    -- PROPOSED, CONSENTED, REFUSED
	proposed_by TEXT   NOT NULL,
	proposed_at BIGINT NOT NULL,
	decided_by  TEXT   NOT NULL DEFAULT '',
	decided_at  BIGINT,
	reason      TEXT   NOT NULL DEFAULT ''
);
CREATE INDEX grade_rules_force ON grade_rules (state, effective);

-- +goose Down
DROP TABLE grade_rules;
