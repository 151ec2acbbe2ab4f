-- +goose Up
-- A rating that is left out of the official rate: proposed by one person, agreed to by another of another unit. It is
-- tied to the answer: when the resident rates again, the new rating counts.
CREATE TABLE survey_exclusion (
	id          TEXT   PRIMARY KEY,
	ask_id      TEXT   NOT NULL REFERENCES survey_ask (id),
	answer_id   TEXT   NOT NULL REFERENCES survey_answer (id),
	reason      TEXT   NOT NULL,
	state       TEXT   NOT NULL CHECK (state IN ('proposed', 'excluded', 'rejected')),
	proposed_by TEXT   NOT NULL,
	proposer_unit TEXT NOT NULL,
	proposed_at BIGINT NOT NULL,
	decided_by  TEXT   NOT NULL DEFAULT '',
	note        TEXT   NOT NULL DEFAULT '',
	decided_at  BIGINT
);
CREATE UNIQUE INDEX survey_exclusion_live ON survey_exclusion (answer_id) WHERE state <> 'rejected';
CREATE INDEX survey_exclusion_proposed ON survey_exclusion (proposed_at) WHERE state = 'proposed';

-- +goose Down
DROP TABLE survey_exclusion;
