-- +goose Up
-- Second questions: why somebody is not satisfied, and what an unclear reply was meant to say. At most one of each to a
-- question, which the key holds whatever comes twice.
CREATE TABLE survey_question (
	ask_id      TEXT   NOT NULL REFERENCES survey_ask (id),
	kind        TEXT   NOT NULL CHECK (kind IN ('reason', 'clarify')),
	sms_id      TEXT   NOT NULL,
	answer_id   TEXT   NOT NULL, -- the reply that caused it
	asked_at    BIGINT NOT NULL,
	closes_at   BIGINT NOT NULL,
	answered_at BIGINT,          -- the first reply to it
	PRIMARY KEY (ask_id, kind)
);

-- +goose Down
DROP TABLE survey_question;
