-- +goose Up
-- What the carrier cmpp must remember. The gateway reports on each segment of a long text under a name of its own; a row
-- is written when the gateway has taken a segment, and the text is delivered when all of its segments are.
CREATE TABLE cmpp_segment (
	id         TEXT   PRIMARY KEY,
	message_id TEXT   NOT NULL,
	attempt    BIGINT NOT NULL,
	part       BIGINT NOT NULL,
	parts      BIGINT NOT NULL,
	state      TEXT   NOT NULL CHECK (state IN ('accepted', 'failed', 'delivered')),
	at         BIGINT NOT NULL
);
CREATE INDEX cmpp_segment_message ON cmpp_segment (message_id, attempt, part);
CREATE INDEX cmpp_segment_at ON cmpp_segment (at);

-- Segments of long replies, sealed, until the others have come; afterwards a while longer, because a gateway that has
-- not seen our answer delivers a segment again.
CREATE TABLE cmpp_fragment (
	id         TEXT    PRIMARY KEY,
	phone_hash TEXT    NOT NULL,
	recipient  TEXT    NOT NULL,
	ref        BIGINT  NOT NULL,
	part       BIGINT  NOT NULL,
	parts      BIGINT  NOT NULL,
	format     BIGINT  NOT NULL,
	sender     BYTEA   NOT NULL,
	content    BYTEA   NOT NULL,
	at         BIGINT  NOT NULL,
	done       BOOLEAN NOT NULL DEFAULT FALSE
);
CREATE INDEX cmpp_fragment_group ON cmpp_fragment (phone_hash, recipient, ref, parts) WHERE done = FALSE;
CREATE INDEX cmpp_fragment_at ON cmpp_fragment (at);

-- +goose Down
DROP TABLE cmpp_fragment;
DROP TABLE cmpp_segment;
