-- +goose Up
-- The unit that took over what this one did (合并); '' for none.
ALTER TABLE org_unit ADD COLUMN merged_into TEXT NOT NULL DEFAULT '';

-- Units in which a person was, and until when: complaints from that time against such a unit stay hidden from them (I6).
CREATE TABLE org_former (
	staff_id TEXT   NOT NULL REFERENCES org_staff (id),
	unit     TEXT   NOT NULL REFERENCES org_unit (id),
	left_at  BIGINT NOT NULL,
	PRIMARY KEY (staff_id, unit)
);

-- +goose Down
DROP TABLE org_former;
ALTER TABLE org_unit DROP COLUMN merged_into;
