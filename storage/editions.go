package storage

import (
	"context"
	"database/sql"

	"github.com/pressly/goose/v3"
)

// editions is the migration that keeps published editions of reports as they are (invariant I18) in the database itself. There
// is no permit here as there is for originals: nothing may ever change or remove one.
func editions(postgres bool) *goose.Migration {
	up, down := editionsSQLite, []string{`DROP TRIGGER report_edition_insert`, `DROP TRIGGER report_edition_update`, `DROP TRIGGER report_edition_delete`}
	if postgres {
		up, down = editionsPostgres, []string{
			`DROP TRIGGER report_edition_rows ON report_edition`, `DROP TRIGGER report_edition_all ON report_edition`, `DROP FUNCTION report_edition_kept()`}
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
	return goose.NewGoMigration(111, run(up), run(down))
}

var editionsSQLite = []string{
	// INSERT OR REPLACE removes the old row without asking the trigger of removals, by its key or by series and version.
	`CREATE TRIGGER report_edition_insert BEFORE INSERT ON report_edition
		WHEN EXISTS (SELECT 1 FROM report_edition e WHERE e.state = 'PUBLISHED' AND (e.id = NEW.id OR e.series = NEW.series AND e.version = NEW.version))
		BEGIN SELECT RAISE(ABORT, 'report_edition: a published edition is never replaced'); END`,
	`CREATE TRIGGER report_edition_update BEFORE UPDATE ON report_edition WHEN OLD.state = 'PUBLISHED'
		OR EXISTS (SELECT 1 FROM report_edition e WHERE e.state = 'PUBLISHED' AND e.id <> OLD.id AND (e.id = NEW.id OR e.series = NEW.series AND e.version = NEW.version))
		BEGIN SELECT RAISE(ABORT, 'report_edition: a published edition is never changed'); END`,
	`CREATE TRIGGER report_edition_delete BEFORE DELETE ON report_edition WHEN OLD.state = 'PUBLISHED'
		BEGIN SELECT RAISE(ABORT, 'report_edition: a published edition is never removed'); END`,
}

var editionsPostgres = []string{
	`CREATE FUNCTION report_edition_kept() RETURNS trigger LANGUAGE plpgsql AS $kept$
	BEGIN
		IF TG_OP = 'TRUNCATE' THEN
			RAISE EXCEPTION 'report_edition: published editions are never removed';
		END IF;
		IF OLD.state = 'PUBLISHED' THEN
			RAISE EXCEPTION 'report_edition: a published edition is never changed or removed';
		END IF;
		IF TG_OP = 'DELETE' THEN
			RETURN OLD;
		END IF;
		RETURN NEW;
	END $kept$`,
	`CREATE TRIGGER report_edition_rows BEFORE UPDATE OR DELETE ON report_edition FOR EACH ROW EXECUTE FUNCTION report_edition_kept()`,
	`CREATE TRIGGER report_edition_all BEFORE TRUNCATE ON report_edition FOR EACH STATEMENT EXECUTE FUNCTION report_edition_kept()`,
}
