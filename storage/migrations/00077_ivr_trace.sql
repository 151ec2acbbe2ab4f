-- +goose Up

-- What each leg of a call did: messages and figures of the sound, sealed. Kept for a while, for those who look into a fault.
CREATE TABLE call_trace (
	call_id TEXT   PRIMARY KEY REFERENCES call (id),
	at      BIGINT NOT NULL,
	body    BYTEA  NOT NULL -- JSON, deflated, sealed
);
CREATE INDEX call_trace_at ON call_trace (at);

-- +goose Down
DROP TABLE call_trace;
