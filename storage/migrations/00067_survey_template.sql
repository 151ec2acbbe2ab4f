-- +goose Up
-- Texts of the survey, version by version. The approved one with the highest version is in force; without one, the text of
-- the configuration file is. Nothing is ever changed but the decision.
CREATE TABLE survey_template (
	name       TEXT   NOT NULL, -- key of Config.Templates
	version    BIGINT NOT NULL,
	body       TEXT   NOT NULL,
	state      TEXT   NOT NULL CHECK (state IN ('proposed', 'approved', 'rejected')),
	author     TEXT   NOT NULL,
	proposed_at BIGINT NOT NULL,
	decided_by TEXT   NOT NULL DEFAULT '',
	note       TEXT   NOT NULL DEFAULT '',
	decided_at BIGINT,
	PRIMARY KEY (name, version)
);

-- +goose Down
DROP TABLE survey_template;
