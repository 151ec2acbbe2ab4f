package main

import (
	"database/sql"

	_ "github.com/mattn/go-sqlite3" // the "sqlite3" driver of database/sql
)

// openFile opens a database file as somebody would who means to change it unseen.
func openFile(path string) (*sql.DB, error) { return sql.Open("sqlite3", path) }
