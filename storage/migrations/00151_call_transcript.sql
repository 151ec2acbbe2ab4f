-- +goose Up
-- What a recogniser wrote down of the messages that callers left. A row that waits is work: due is when it is next tried, and lies in
-- the future while somebody is at it, so that what a crash leaves is taken up again.
CREATE TABLE call_transcript (
	call_id TEXT   PRIMARY KEY REFERENCES call (id),
	state   TEXT   NOT NULL,            -- waiting, done, silent, failed
	due     BIGINT NOT NULL,
	tries   BIGINT NOT NULL DEFAULT 0,
	engine  TEXT   NOT NULL DEFAULT '', -- the recogniser
	words   BYTEA,                      -- sealed
	at      BIGINT                      -- when it was done with
);
CREATE INDEX call_transcript_due ON call_transcript (due) WHERE state = 'waiting';
CREATE INDEX call_message ON call (started) WHERE message_ms > 0;

-- +goose Down
DROP INDEX call_message;
DROP TABLE call_transcript;
