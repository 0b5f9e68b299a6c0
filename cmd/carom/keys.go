package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"carom/edge/ref"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
)

func newKeysCommand() *cobra.Command {
	keys := &cobra.Command{
		Use:   "keys",
		Short: "Make and rotate the keys that seal references",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var file, rotate string
	create := &cobra.Command{
		Use:   "new",
		Short: "Make a key file, or add a fresh sealing key to one",
		Long: `Make a key file, or add a fresh sealing key to one.

Every node that seals or opens references needs the same file. After a rotation the former key still
opens what it has sealed; set its state to "retired" when its mails are old enough to be refused.`,
		Example: `  carom keys new > keys.yaml                          # a new file on standard output
  carom keys new --out /etc/carom/keys.yaml           # a new file; one that is there is kept
  carom keys new --rotate keys.yaml --out keys2.yaml  # the same keys and a new one that seals`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			data, err := newKeyFile(rotate)
			if err != nil {
				return err
			}
			if file == "" {
				_, err := cmd.OutOrStdout().Write(data)
				return err
			}
			return writeKeyFile(file, data)
		},
	}
	create.Flags().StringVar(&file, "out", "", "write to this file, which must not be there yet")
	create.Flags().StringVar(&rotate, "rotate", "", "take the keys of this file, make its sealing key one that only opens, and add a new sealing key")
	keys.AddCommand(create)
	return keys
}

func newKeyFile(rotate string) ([]byte, error) {
	if rotate == "" {
		return ref.NewKeyFile()
	}
	old, err := os.ReadFile(rotate)
	if err != nil {
		return nil, fmt.Errorf("rotate keys: %w", err)
	}
	return ref.RotateKeyFile(old)
}

// writeKeyFile never overwrites: lost keys make every mail that is out unreadable.
func writeKeyFile(file string, data []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("write keys: %s is there already and is kept; name another file", file)
	}
	if err != nil {
		return fmt.Errorf("write keys: %w", err)
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write keys: %w", err)
	}
	return nil
}

// ensureKeys makes a key file on the first start with --dev.
func ensureKeys(c *Config, log *zap.Logger) error {
	if err := makeDataDir(c); err != nil {
		return err
	}
	file := c.keysFile()
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		return nil // it is there; or what is wrong with it will be said when it is read
	}
	data, err := ref.NewKeyFile()
	if err != nil {
		return err
	}
	log.Info("made keys", zap.String("file", file))
	return writeKeyFile(file, data)
}
