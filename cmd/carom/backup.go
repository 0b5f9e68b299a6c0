package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"carom/edge/api"
	"carom/pipeline/backup"
)

// keysName is where the keys are by default, in the data folder.
const keysName = "keys.yaml"

// backups shows the API how to copy the node.
func (n *node) backups() (api.Backup, error) {
	b, err := backup.New(backup.Source{
		Node: n.config.Node, Version: version(), State: n.state, Heard: n.heard, Journal: n.journal,
		Dir: filepath.Join(n.config.Data.Dir, "backup.tmp"), Logger: n.log,
	})
	if err != nil {
		return nil, fmt.Errorf("data.dir: %w", err)
	}
	return func() (func(io.Writer) error, bool, error) {
		write, err := b.Begin()
		if errors.Is(err, backup.ErrRunning) {
			return nil, true, nil
		}
		return write, false, err
	}, nil
}

func newBackupCommand() *cobra.Command {
	var server apiServer
	cmd := &cobra.Command{
		Use:   "backup --api URL DIR",
		Short: "Copy all that a running node keeps into a folder",
		Long: `Copy all that a running node keeps, journal and state, into a folder here, which must be empty or missing. The node
goes on meanwhile. What it had on disk when the backup began is in it; 'carom restore' brings it back. With Kafka each node has a
backup of its own. The keys are not in it: copy the keys file once, to another place.

Prints the manifest's summary as JSON: node, incarnation of the journal, when it was begun, what the journal held, bytes.`,
		Example: `  carom backup --api http://127.0.0.1:8081 /backup/carom-$(date +%F)
  carom backup --api http://edge-1:8081 --token "$TOKEN" edge-1/`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			target, err := server.base("/v1/backup")
			if err != nil {
				return err
			}
			m, err := receiveBackup(cmd.Context(), &server, target, args[0])
			if err != nil {
				return err
			}
			return writeBackup(cmd.OutOrStdout(), m)
		},
	}
	server.add(cmd)
	return cmd
}

func receiveBackup(ctx context.Context, server *apiServer, target, dir string) (m backup.Manifest, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, nil)
	if err != nil {
		return m, err
	}
	server.authorize(request)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return m, fmt.Errorf("ask the server: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 2000))
		return m, fmt.Errorf("ask the server: it answered %s: %s", answer.Status, text)
	}
	return backup.Receive(answer.Body, dir)
}

// writeBackup prints what a backup is, without its files.
func writeBackup(w io.Writer, m backup.Manifest) error {
	return json.NewEncoder(w).Encode(struct {
		Node        string        `json:"node"`
		Version     string        `json:"carom"`
		Incarnation string        `json:"incarnation"`
		At          time.Time     `json:"at"`
		Journal     backup.Bounds `json:"journal"`
		Files       int           `json:"files"`
		Bytes       int64         `json:"bytes"`
	}{m.Node, m.Version, m.Incarnation, m.At, m.Journal, len(m.Files), m.Bytes})
}

func newRestoreCommand() *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:   "restore DIR --data-dir DIR",
		Short: "Bring a backup back as a node's data folder",
		Long: `Bring a backup back as a node's data folder, which must be empty or missing, but for ` + keysName + `. Every file is compared
with its checksum in the manifest. The backup stays as it is.

The node goes on where the backup was made. The sequences of its journal go on with a jump, so that nothing that it hears from then
on is taken for a repeat of what the original heard after the backup; with Kafka that is what the topics hold already. Start it
under the name that the original had, and never both.`,
		Example: `  carom restore /backup/carom-2026-11-22 --data-dir /var/lib/carom
  cp /secret/keys.yaml /var/lib/carom/ && carom serve --config carom.yaml`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if data == "" {
				return usageError{errors.New("--data-dir: is empty: want the folder to restore into")}
			}
			r, err := backup.Restore(args[0], data, time.Now(), zap.NewNop(), keysName, "lost+found")
			if err != nil {
				return err
			}
			if _, err := os.Stat(filepath.Join(data, keysName)); err != nil {
				fmt.Fprintf(cmd.ErrOrStderr(), "Restored. Put the keys of node %s to %s, or name them with keys.file.\n", r.Node, filepath.Join(data, keysName))
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{
				"node": r.Node, "at": r.At, "bytes": r.Bytes, "journal_next": r.Next, "journal_goes_on": r.Goes,
			})
		},
	}
	cmd.Flags().StringVar(&data, "data-dir", "", "data folder of the node that is to be started, empty or missing")
	return cmd
}
