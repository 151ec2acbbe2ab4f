-- +goose Up

-- What operators did, span by span: who was ready, on a break, talking, and why.
CREATE TABLE desk_span (
	id        TEXT   PRIMARY KEY,
	node      TEXT   NOT NULL,
	extension TEXT   NOT NULL,
	staff_id  TEXT   NOT NULL,
	state     TEXT   NOT NULL,
	reason    TEXT   NOT NULL,
	call_id   TEXT   NOT NULL,
	since     BIGINT NOT NULL,
	until     BIGINT                        -- NULL: still so
);
CREATE INDEX desk_span_since ON desk_span (since);
CREATE INDEX desk_span_open ON desk_span (node, extension) WHERE until IS NULL;

-- Every time a phone rang for a caller, and how that ended.
CREATE TABLE desk_offer (
	id        TEXT   PRIMARY KEY,
	extension TEXT   NOT NULL,
	staff_id  TEXT   NOT NULL,
	call_id   TEXT   NOT NULL,
	made      BIGINT NOT NULL,
	settled   BIGINT,
	outcome   TEXT   NOT NULL               -- "" while it rings
);
CREATE INDEX desk_offer_made ON desk_offer (made);
CREATE INDEX desk_offer_call ON desk_offer (call_id);

-- +goose Down
DROP TABLE desk_offer;
DROP TABLE desk_span;
