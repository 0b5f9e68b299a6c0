package node

import (
	"context"
	"net/url"
	"time"
)

// Counts are the numbers of a score object: enrollments of which something happened, and hits.
type Counts struct {
	Completed      int `json:"completed"`
	Replied        int `json:"replied"`
	Bounced        int `json:"bounced"`
	BouncedHard    int `json:"bounced_hard"`
	Complained     int `json:"complained"`
	Unsubscribed   int `json:"unsubscribed"`
	Opened         int `json:"opened"`
	Clicked        int `json:"clicked"`
	MachineOpened  int `json:"machine_opened"`
	MachineClicked int `json:"machine_clicked"`
	Opens          int `json:"opens"`
	Clicks         int `json:"clicks"`
	MachineOpens   int `json:"machine_opens"`
	MachineClicks  int `json:"machine_clicks"`
}

// Number is one count with its name.
type Number struct {
	What string
	N    int
}

// List names the numbers, always in the same order.
func (c *Counts) List() []Number {
	return []Number{
		{"completed", c.Completed},
		{"replied", c.Replied},
		{"bounced", c.Bounced},
		{"bounced hard", c.BouncedHard},
		{"complained", c.Complained},
		{"unsubscribed", c.Unsubscribed},
		{"opened", c.Opened},
		{"clicked", c.Clicked},
		{"opened by machines", c.MachineOpened},
		{"clicked by machines", c.MachineClicked},
		{"opens", c.Opens},
		{"clicks", c.Clicks},
		{"opens by machines", c.MachineOpens},
		{"clicks by machines", c.MachineClicks},
	}
}

// Rate is a share with its interval.
type Rate struct {
	Value, Low, High float64
}

// Score is the part of a score object that is looked at.
type Score struct {
	Counts
	ReplyRate  Rate `json:"reply_rate"`
	BounceRate Rate `json:"bounce_rate"`
	Score      struct {
		Value, Low, High float64
		Band             string
		Bands            []string
	} `json:"score"`
	Sufficient bool `json:"sufficient"`
}

// Score reads the score of a sender over the last seven days.
func (c *Client) Score(ctx context.Context, account, sender string) (s Score, err error) {
	err = c.get(ctx, "/v1/senders/"+url.PathEscape(sender)+"/score?window=7d&account="+url.QueryEscape(account), &s)
	return s, err
}

// Senders hands the counts of every sender of an account to got: over the last seven days, as of a time.
func (c *Client) Senders(ctx context.Context, account string, asOf time.Time, got func(*Counts)) error {
	query := url.Values{"account": {account}, "window": {"7d"}, "limit": {"100"}, "as_of": {asOf.UTC().Format(time.RFC3339)}}
	for {
		var page struct {
			Senders []Counts
			Next    string
		}
		if err := c.get(ctx, "/v1/senders?"+query.Encode(), &page); err != nil {
			return err
		}
		for i := range page.Senders {
			got(&page.Senders[i])
		}
		if page.Next == "" {
			return nil
		}
		query.Set("after", page.Next)
	}
}
