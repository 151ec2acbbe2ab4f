-- +goose Up
CREATE TABLE schedule_fire (
	job      TEXT   NOT NULL,
	at       BIGINT NOT NULL, -- the nominal time, Unix milliseconds
	node     TEXT   NOT NULL,
	started  BIGINT NOT NULL,
	beat     BIGINT NOT NULL, -- last sign of life of the node that runs it
	finished BIGINT,
	error    TEXT   NOT NULL DEFAULT '',
	attempt  BIGINT NOT NULL DEFAULT 1,
	PRIMARY KEY (job, at)
);

-- +goose Down
DROP TABLE schedule_fire;
