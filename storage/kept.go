package storage

import (
	"context"
	"database/sql"

	"github.com/pressly/goose/v3"
)

// kept is the migration that guards the originals of intake (invariant I2) in the database itself: no statement changes or
// removes one, unless a permit for that one original stands in ticket_raw_permit, which the retention of the program and the
// change of keys write and take away again in the same transaction, beside an event in the log. The two engines spell
// triggers so differently that it is code and not a SQL text for both.
func kept(postgres bool) *goose.Migration {
	up, down := keptSQLite, []string{
		`DROP TRIGGER ticket_raw_kept_insert`, `DROP TRIGGER ticket_raw_kept_update`, `DROP TRIGGER ticket_raw_kept_delete`, `DROP TABLE ticket_raw_permit`}
	if postgres {
		up, down = keptPostgres, []string{
			`DROP TRIGGER ticket_raw_kept_rows ON ticket_raw`, `DROP TRIGGER ticket_raw_kept_all ON ticket_raw`, `DROP FUNCTION ticket_raw_kept()`, `DROP TABLE ticket_raw_permit`}
	}
	run := func(list []string) *goose.GoFunc {
		return &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
			for _, s := range list {
				if _, err := tx.ExecContext(ctx, s); err != nil {
					return err
				}
			}
			return nil
		}}
	}
	return goose.NewGoMigration(90, run(up), run(down))
}

const permitTable = `CREATE TABLE ticket_raw_permit (
	raw_id TEXT   PRIMARY KEY,
	why    TEXT   NOT NULL,
	at     BIGINT NOT NULL
)`

var keptSQLite = []string{
	permitTable,
	// INSERT OR REPLACE removes the old row without asking the trigger of removals.
	`CREATE TRIGGER ticket_raw_kept_insert BEFORE INSERT ON ticket_raw WHEN EXISTS (SELECT 1 FROM ticket_raw r WHERE r.id = NEW.id)
		BEGIN SELECT RAISE(ABORT, 'ticket_raw: an original is never replaced'); END`,
	`CREATE TRIGGER ticket_raw_kept_update BEFORE UPDATE ON ticket_raw WHEN OLD.id <> NEW.id OR NOT EXISTS (SELECT 1 FROM ticket_raw_permit p WHERE p.raw_id = OLD.id)
		BEGIN SELECT RAISE(ABORT, 'ticket_raw: an original is never changed'); END`,
	`CREATE TRIGGER ticket_raw_kept_delete BEFORE DELETE ON ticket_raw WHEN NOT EXISTS (SELECT 1 FROM ticket_raw_permit p WHERE p.raw_id = OLD.id)
		BEGIN SELECT RAISE(ABORT, 'ticket_raw: an original is never removed'); END`,
}

var keptPostgres = []string{
	permitTable,
	`CREATE FUNCTION ticket_raw_kept() RETURNS trigger LANGUAGE plpgsql AS $kept$
	BEGIN
		IF TG_OP = 'TRUNCATE' THEN
			RAISE EXCEPTION 'ticket_raw: originals are never removed';
		END IF;
		IF NOT EXISTS (SELECT 1 FROM ticket_raw_permit p WHERE p.raw_id = OLD.id) THEN
			RAISE EXCEPTION 'ticket_raw: an original is never changed or removed';
		END IF;
		IF TG_OP = 'DELETE' THEN
			RETURN OLD;
		END IF;
		IF NEW.id <> OLD.id THEN
			RAISE EXCEPTION 'ticket_raw: an original keeps its id';
		END IF;
		RETURN NEW;
	END $kept$`,
	`CREATE TRIGGER ticket_raw_kept_rows BEFORE UPDATE OR DELETE ON ticket_raw FOR EACH ROW EXECUTE FUNCTION ticket_raw_kept()`,
	`CREATE TRIGGER ticket_raw_kept_all BEFORE TRUNCATE ON ticket_raw FOR EACH STATEMENT EXECUTE FUNCTION ticket_raw_kept()`,
}
