-- +goose Up
-- How the records of a day were drawn, so that anybody can draw them again: a record is in when the first 8 bytes of
-- SHA-256(seed/class/source_id), as a fraction of 2^64, are at most threshold.
CREATE TABLE survey_sample (
	day         TEXT   NOT NULL,
	class       TEXT   NOT NULL,
	unit        TEXT   NOT NULL, -- '' for a share of the whole class
	seed        TEXT   NOT NULL,
	frame       BIGINT NOT NULL, -- records drawn from
	drawn       BIGINT NOT NULL,
	threshold   DOUBLE PRECISION NOT NULL,
	probability DOUBLE PRECISION NOT NULL, -- of inclusion
	drawn_at    BIGINT NOT NULL,
	PRIMARY KEY (day, class, unit)
);
ALTER TABLE survey_decision ADD COLUMN probability DOUBLE PRECISION NOT NULL DEFAULT 1;

-- +goose Down
ALTER TABLE survey_decision DROP COLUMN probability;
DROP TABLE survey_sample;
