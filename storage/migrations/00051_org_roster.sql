-- +goose Up

-- What an operator serves at the board of the hotline.
CREATE TABLE org_seat (
	staff_id TEXT   PRIMARY KEY REFERENCES org_staff (id),
	queues   TEXT   NOT NULL,              -- "hotline english:1"; '' every queue
	skills   TEXT   NOT NULL,              -- separated by blanks
	changed  BIGINT NOT NULL
);

-- Who is to be there, and when.
CREATE TABLE org_shift (
	id       TEXT   PRIMARY KEY,
	staff_id TEXT   NOT NULL REFERENCES org_staff (id),
	begins   BIGINT NOT NULL,
	ends     BIGINT NOT NULL,
	queues   TEXT   NOT NULL,              -- served in this shift; '' as the seat says
	note     TEXT   NOT NULL,
	by_actor TEXT   NOT NULL,
	created  BIGINT NOT NULL,
	dropped  BIGINT
);
CREATE INDEX org_shift_ends ON org_shift (ends);

-- What one shift tells the next.
CREATE TABLE org_handover (
	id          TEXT   PRIMARY KEY,
	staff_id    TEXT   NOT NULL,
	at          BIGINT NOT NULL,
	note_sealed BYTEA  NOT NULL
);
CREATE INDEX org_handover_at ON org_handover (at);

-- +goose Down
DROP TABLE org_handover;
DROP TABLE org_shift;
DROP TABLE org_seat;
