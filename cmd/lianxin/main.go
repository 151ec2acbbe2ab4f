// Command lianxin is the engine of a police bureau's 民意感知中心: the hotline, the morning texts and the tickets, in one
// program with one data folder. It wires the rooms together and decides nothing.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

func main() {
	m := &Main{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
	os.Exit(m.Run(untilTold(), os.Args[1:]))
}

// untilTold ends with the first signal to stop. The second ends the program at once: what the first began may be waiting for a peer that
// never answers.
func untilTold() context.Context {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() { <-ctx.Done(); stop() }()
	return ctx
}

// Main is the program with its standard streams, so that a test can run it whole.
type Main struct {
	In       io.Reader
	Out, Err io.Writer
}

// commands is the command line. Each command is a struct with a Run method in the file of its subject.
type commands struct {
	Config Config `embed:""`
	File   string `name:"config" help:"Configuration file (YAML): the flags' names are its keys." type:"existingfile" env:"LIANXIN_CONFIG" placeholder:"FILE"`

	Serve     serveCmd     `cmd:"" help:"Run the centre: hotline, texts, console and API."`
	Demo      demoCmd      `cmd:"" help:"Play one whole day on real sockets, in the terminal."`
	Records   recordsCmd   `cmd:"" help:"Service records of other systems: whom the morning asks."`
	Survey    surveyCmd    `cmd:"" help:"The morning survey, and the reader of replies."`
	Ticket    ticketCmd    `cmd:"" help:"Tickets: filters that read requests (colour, domain), limits, clocks."`
	Tickets   ticketsCmd   `cmd:"" help:"Requests from other bodies, and their results."`
	Workday   workdayCmd   `cmd:"" help:"Working days by the State Council calendar."`
	Figures   figuresCmd   `cmd:"" help:"Figures of the closed loop, and whether the log bears them out."`
	Report    reportCmd    `cmd:"" help:"Editions of reports: daily, weekly, monthly and special; whether what was published is as it was."`
	Audit     auditCmd     `cmd:"" help:"The hash-chained log."`
	Backup    backupCmd    `cmd:"" help:"Write a consistent copy of the database, also while the server runs."`
	Restore   restoreCmd   `cmd:"" help:"Put a backup in the place of the database, while no server runs."`
	User      userCmd      `cmd:"" help:"Sign-ins of staff, phones and the API."`
	Flow      flowCmd      `cmd:"" help:"Flow files of the hotline."`
	Call      callCmd      `cmd:"" help:"Calls: list, ladder, packets, records."`
	Caller    callerCmd    `cmd:"" help:"Marks of callers' numbers that flow files ask for."`
	Recording recordingCmd `cmd:"" help:"Recordings of calls: list, export, verify, keep, remove."`
	Doctor    doctorCmd    `cmd:"" help:"Look for what would keep the centre from working, and say what to do; exit 1 on a problem; also while it runs."`
	Keys      keysCmd      `cmd:"" help:"Keys that personal data is sealed with."`
	Retention retentionCmd `cmd:"" help:"Personal data whose time is over."`
	Person    personCmd    `cmd:"" help:"What is kept about one person: give it to them, or take it out."`
	Version   versionCmd   `cmd:"" help:"Print the version."`
}

// exit is panicked by kong's exit hook (help was printed) and caught in Run.
type exit int

// Run parses the arguments, runs the command, and returns the program's exit status: 0, 1 for a failure, 2 for wrong use.
func (m *Main) Run(ctx context.Context, args []string) (status int) {
	defer func() {
		if p := recover(); p != nil {
			code, ok := p.(exit)
			if !ok {
				panic(p)
			}
			status = int(code)
		}
	}()
	file, err := readConfig(configPath(args))
	if err != nil {
		fmt.Fprintln(m.Err, "lianxin:", err)
		return 2
	}
	var cli commands
	parser, err := kong.New(&cli,
		kong.Name("lianxin"),
		kong.Description("连心: a police bureau's public opinion centre in one program.\n\n"+secretsHelp()),
		kong.Writers(m.Out, m.Err),
		kong.Exit(func(code int) { panic(exit(code)) }),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Resolvers(fromFile(file)),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(m, &cli.Config),
	)
	if err != nil {
		fmt.Fprintln(m.Err, "lianxin:", err)
		return 2
	}
	k, err := parser.Parse(args)
	if err == nil {
		err = cli.Config.fill(file)
	}
	if err != nil {
		err = file.blame(args, err)
		fmt.Fprintln(m.Err, "lianxin:", err)
		return 2
	}
	cli.Config.reread = func() (*Config, error) { return m.configure(args) }
	if probe != nil {
		probe(&cli.Config)
	}
	if err := k.Run(); err != nil {
		if !errors.Is(err, errSaid) {
			fmt.Fprintln(m.Err, "lianxin:", err)
		}
		return 1
	}
	return 0
}

// probe lets a test see the configuration that a command gets.
var probe func(*Config)

// errSaid ends a command with status 1 after it has printed what is wrong itself.
var errSaid = errors.New("said already")

// fromFile gives flags that neither the command line nor the environment set their value from the configuration file.
func fromFile(f *configFile) kong.Resolver {
	var values map[string]any
	if f != nil {
		values = f.values
	}
	return kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		for _, env := range flag.Envs {
			if _, set := os.LookupEnv(env); set {
				return nil, nil // the environment goes before the file
			}
		}
		v, ok := values[flag.Name]
		if !ok {
			return nil, nil
		}
		return v, nil
	})
}

// configPath finds --config before kong parses, because its content takes part in the parsing.
func configPath(args []string) string {
	for i, a := range args {
		if v, ok := strings.CutPrefix(a, "--config="); ok {
			return v
		}
		if a == "--config" && i+1 < len(args) {
			return args[i+1]
		}
	}
	return os.Getenv("LIANXIN_CONFIG")
}
