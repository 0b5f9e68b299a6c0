package main

import (
	"encoding/json"
	"fmt"
	"time"

	"carom/edge/ref"
	"carom/pipeline/event"

	"github.com/spf13/cobra"
)

func newLinkCommand() *cobra.Command {
	var flags configFlags
	var r event.Ref
	var urls []string
	var sentAt string
	var transactional, anonymous, shared, untracked bool
	cmd := &cobra.Command{
		Use:   "link",
		Short: "Mint the URLs, addresses and headers of one message",
		Long: `Mint the URLs, addresses and headers of one message and print them as one JSON object, as
POST /v1/messages answers it. Nothing is registered: the keys and the settings are all it needs.`,
		Example: `  carom link --dev --sender alice --contact bob@example.com --message m-1 --url https://example.com/
  carom link --config carom.yaml --account acme --sender alice --sequence q4 --contact c-1 --message m-1`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r.Message = event.CleanMessageID(r.Message)
			if r.Sender == "" || r.Message == "" {
				return usageError{fmt.Errorf("--sender and --message are required")}
			}
			if sentAt != "" {
				t, err := time.Parse(time.RFC3339, sentAt)
				if err != nil {
					return usageError{fmt.Errorf("--sent-at %q: want a time such as 2026-11-21T17:45:03Z", sentAt)}
				}
				r.SentAt = event.FromTime(t)
			}
			for flag, set := range map[event.Flags]bool{
				event.Transactional: transactional, event.Anonymous: anonymous, event.Shared: shared, event.Untracked: untracked,
			} {
				if set {
					r.Flags |= flag
				}
			}
			return printLinks(cmd, &flags, ref.Message{Ref: r, Links: urls})
		},
	}
	flags.add(cmd)
	f := cmd.Flags()
	f.StringVar(&r.Account, "account", "default", "customer of the platform")
	f.StringVar(&r.Sender, "sender", "", "who the mail is sent as (required)")
	f.StringVar(&r.Sequence, "sequence", "", "campaign or series of mails")
	f.StringVar(&r.Contact, "contact", "", "the platform's id of the recipient, or the address")
	f.StringVar(&r.Message, "message", "", "the platform's id of the mail, usually its Message-ID (required)")
	f.StringArrayVar(&urls, "url", nil, "target of a link, in order; may be given many times")
	f.StringVar(&sentAt, "sent-at", "", "when the mail is sent, RFC 3339")
	f.BoolVar(&transactional, "transactional", false, "a complaint or unsubscribe does not suppress")
	f.BoolVar(&anonymous, "anonymous", false, "opens and clicks name no contact")
	f.BoolVar(&shared, "shared", false, "several recipients share one pixel: opens and clicks name no contact")
	f.BoolVar(&untracked, "untracked", false, "opens and clicks are answered and not recorded")
	cmd.AddCommand(newSelfLinkCommand())
	return cmd
}

func newSelfLinkCommand() *cobra.Command {
	var flags configFlags
	var account, sender string
	cmd := &cobra.Command{
		Use:   "self",
		Short: "Mint the link by which a sender marks a browser as its own",
		Long: `Mint the link by which a sender marks a browser as its own, and print it as a JSON object, as
POST /v1/senders/{sender}/self answers it. What the browser then opens and clicks in the mail of
that sender has the verdict self. The setting track.self switches it on.`,
		Example: `  carom link self --dev --sender alice
  carom link self --config carom.yaml --account acme --sender alice`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if sender == "" {
				return usageError{fmt.Errorf("--sender is required")}
			}
			c, minter, err := loadMinter(&flags)
			if err != nil {
				return err
			}
			if !c.Track.Self {
				return fmt.Errorf("track.self: is false: the link would lead nowhere: set it to true on all nodes")
			}
			url, err := minter.SelfURL(account, sender)
			if err != nil {
				return usageError{err}
			}
			return printJSON(cmd, selfLink{url})
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&account, "account", "default", "customer of the platform")
	cmd.Flags().StringVar(&sender, "sender", "", "who the mail is sent as (required)")
	return cmd
}

// selfLink is the answer of POST /v1/senders/{sender}/self too.
type selfLink struct {
	SelfURL string `json:"self_url"`
}

// loadMinter reads the settings and the keys.
func loadMinter(flags *configFlags) (Config, *ref.Minter, error) {
	c, err := flags.load()
	if err != nil {
		return c, nil, err
	}
	if err := c.validate(); err != nil {
		return c, nil, usageError{err}
	}
	keys, err := ref.ReadKeyring(c.keysFile())
	if err != nil {
		return c, nil, fmt.Errorf("keys.file: %w", err)
	}
	minter, err := newMinter(c, keys, c.Track.BaseURL)
	return c, minter, err
}

// printJSON prints v on a line.
func printJSON(cmd *cobra.Command, v any) error {
	encoder := json.NewEncoder(cmd.OutOrStdout())
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

func printLinks(cmd *cobra.Command, flags *configFlags, m ref.Message) error {
	_, minter, err := loadMinter(flags)
	if err != nil {
		return err
	}
	links, err := minter.Mint(m)
	if err != nil {
		return usageError{err}
	}
	return printJSON(cmd, linkAnswer{Message: links.Message, Send: true, Links: &links})
}

// linkAnswer has the fields that POST /v1/messages answers with, in that order. Nobody is asked whether the recipient
// is suppressed, so "send" is true.
type linkAnswer struct {
	Message string `json:"message"`
	Send    bool   `json:"send"`
	*ref.Links
}
