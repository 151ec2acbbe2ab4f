-- +goose Up

-- People of call-backs who are to be rung and asked by key, and what came of it.
CREATE TABLE call_question (
	callback_id TEXT   PRIMARY KEY,
	state       TEXT   NOT NULL CHECK (state IN ('waiting', 'calling', 'done')),
	outcome     TEXT   NOT NULL DEFAULT '', -- of the last call, or why nobody is rung
	rating      BIGINT NOT NULL DEFAULT 0,
	tries       BIGINT NOT NULL DEFAULT 0,
	node        TEXT   NOT NULL DEFAULT '', -- that rings
	call_id     TEXT   NOT NULL DEFAULT '', -- of the last call
	lease       BIGINT,                     -- calling: until then
	asked_by    TEXT   NOT NULL,
	asked_at    BIGINT NOT NULL,
	done_at     BIGINT
);
CREATE INDEX call_question_state ON call_question (state, asked_at, callback_id);

-- +goose Down
DROP TABLE call_question;
