package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"golang.org/x/term"

	"lianxin/org"
	"lianxin/storage"
)

// cli is how the audit log names what was done from the command line of the server's machine.
const cli = "system"

type userCmd struct {
	List     userListCmd     `cmd:"" help:"List accounts."`
	Add      userAddCmd      `cmd:"" help:"Add an account; the password is read from the terminal or standard input."`
	Password userPasswordCmd `cmd:"" help:"Set a password, read from the terminal or standard input."`
	Phone    userPhoneCmd    `cmd:"" help:"Give an account an extension; the phone's password is read likewise."`
	Token    userTokenCmd    `cmd:"" help:"Make a bearer token for the API and print it, once."`
}

type userListCmd struct{}

func (userListCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	db, err := openExisting(ctx, cfg)
	if err != nil {
		return err
	}
	defer db.Close()
	return db.View(ctx, func(tx *storage.Tx) error {
		staff, err := org.AllStaff(tx)
		w := tabwriter.NewWriter(m.Out, 0, 0, 2, ' ', 0)
		for _, s := range staff {
			state := ""
			if !s.Active {
				state = "closed"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", s.Login, s.Role, s.Unit, s.Extension, s.Name, state)
		}
		w.Flush()
		return err
	})
}

type userAddCmd struct {
	Login string `arg:""`
	Name  string `required:"" help:"Name as colleagues see it."`
	Role  string `required:"" help:"Role code, such as operator, dispatcher, handler, admin."`
	Unit  string `required:"" help:"Unit id, such as benxi-minyi."`
}

func (u *userAddCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	db, err := openExisting(ctx, cfg)
	if err != nil {
		return err
	}
	defer db.Close()
	password, err := m.secret("password: ")
	if err != nil {
		return err
	}
	var s org.Staff
	err = db.Update(ctx, func(tx *storage.Tx) error {
		s, err = org.Register{}.AddStaff(tx, org.Staff{Login: u.Login, Name: u.Name, Role: org.Role(u.Role), Unit: u.Unit}, cli)
		return err
	})
	if err != nil {
		return fmt.Errorf("add %s: %w", u.Login, err)
	}
	return org.SetPassword(ctx, db, s.ID, password, cli)
}

type userPasswordCmd struct {
	Login string `arg:""`
}

func (u *userPasswordCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	return withStaff(ctx, m, cfg, u.Login, "password: ", func(db *storage.DB, s org.Staff, secret string) error {
		return org.SetPassword(ctx, db, s.ID, secret, cli)
	})
}

type userPhoneCmd struct {
	Login     string `arg:""`
	Extension string `arg:"" help:"Number of the phone, such as 8007."`
}

func (u *userPhoneCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	return withStaff(ctx, m, cfg, u.Login, "phone password: ", func(db *storage.DB, s org.Staff, secret string) error {
		return db.Update(ctx, func(tx *storage.Tx) error { return org.Register{}.SetPhone(tx, s.ID, u.Extension, secret, cli) })
	})
}

type userTokenCmd struct {
	Name string `arg:"" help:"What the token is for."`
	Role string `default:"supervisor" help:"Role whose rights it has."`
	Unit string `help:"Unit to whose tickets it is bound; none when left out."`
}

func (u *userTokenCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	db, err := openExisting(ctx, cfg)
	if err != nil {
		return err
	}
	defer db.Close()
	var secret string
	err = db.Update(ctx, func(tx *storage.Tx) error {
		secret, _, err = org.Register{}.NewToken(tx, org.Token{Name: u.Name, Role: org.Role(u.Role), Unit: u.Unit}, cli)
		return err
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(m.Out, secret)
	return nil
}

func withStaff(ctx context.Context, m *Main, cfg *Config, login, prompt string, do func(*storage.DB, org.Staff, string) error) error {
	db, err := openExisting(ctx, cfg)
	if err != nil {
		return err
	}
	defer db.Close()
	var s org.Staff
	err = db.View(ctx, func(tx *storage.Tx) error {
		s, err = org.StaffByLogin(tx, login)
		return err
	})
	if err != nil {
		return fmt.Errorf("account %s: %w", login, err)
	}
	secret, err := m.secret(prompt)
	if err != nil {
		return err
	}
	return do(db, s, secret)
}

// secret reads one line without showing it, from the terminal or, in a script, from standard input.
func (m *Main) secret(prompt string) (string, error) {
	if f, ok := m.In.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(m.Err, prompt)
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(m.Err)
		return string(b), err
	}
	line, err := bufio.NewReader(m.In).ReadString('\n')
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", errors.Join(errors.New("no password on standard input"), err)
	}
	return line, nil
}
