-- +goose Up
-- Files and bodies that were taken in, by their content: the same one is never read twice, whatever it is called.
CREATE TABLE survey_source (
	digest    TEXT   PRIMARY KEY, -- SHA-256
	source    TEXT   NOT NULL,    -- "folder", "push"
	name      TEXT   NOT NULL,
	import_id TEXT   NOT NULL,
	taken_at  BIGINT NOT NULL
);

-- +goose Down
DROP TABLE survey_source;
