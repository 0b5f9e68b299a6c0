package burst

import (
	"fmt"
	"time"

	"carom/pipeline/event"
)

// Options are the windows, all in event time and both ends included, and the weights.
type Options struct {
	AddressWindow  time.Duration `yaml:"address_window" doc:"Clicks on distinct links of a message from one address within this are a scanner's; 0: never; at most 10m."`
	Links          int           `yaml:"links" doc:"Clicks on so many distinct links of a message within links_window, from any address, are a scanner's; from 2 to 16, 0: never."`
	LinksWindow    time.Duration `yaml:"links_window" doc:"The window of links; at most 10m."`
	HoneypotWindow time.Duration `yaml:"honeypot_window" doc:"Clicks of a message so near to one on its hidden link are a scanner's; at most 10m."`

	EarlyOpen      time.Duration `yaml:"early_open" doc:"An open sooner after delivery, or after sending, gets the reason early_open; 0: never; at most 24h."`
	EarlyClick     time.Duration `yaml:"early_click" doc:"A click sooner after delivery, or after sending, gets the reason early_click; 0: never; at most 24h."`
	TwoLinksWindow time.Duration `yaml:"two_links_window" doc:"Clicks on two distinct links within this get the reason two_links; 0: never; at most 10m."`

	Weights WeightOptions `yaml:"weights"`

	// Repeat is refine.repeat: within what distance a hit like a recorded one repeats it; 0: never.
	Repeat time.Duration `yaml:"-"`
}

// WeightOptions give numbers to reasons that alone prove nothing. A hit whose sum reaches the threshold is a scanner's.
type WeightOptions struct {
	Threshold        float64 `yaml:"threshold" doc:"Hits whose weights add up to this are a scanner's, with the reason weights; 0: weights decide nothing."`
	EarlyOpen        float64 `yaml:"early_open" doc:"Weight of the reason early_open, from 0 to 1000."`
	EarlyClick       float64 `yaml:"early_click" doc:"Weight of the reason early_click, from 0 to 1000."`
	TwoLinks         float64 `yaml:"two_links" doc:"Weight of the reason two_links, from 0 to 1000."`
	ClickWithoutOpen float64 `yaml:"click_without_open" doc:"Weight of the reason click_without_open, from 0 to 1000."`
	AcceptNoHTML     float64 `yaml:"accept_no_html" doc:"Weight of the reason accept_no_html, from 0 to 1000."`
	SharedAddress    float64 `yaml:"shared_address" doc:"Weight of the reason shared_address, from 0 to 1000."`
}

// maxLinks bounds Options.Links: of so many links Judge remembers when each was clicked last.
const maxLinks = 16

// Default returns the windows of RULES.md, and no weights.
func Default() Options {
	return Options{
		AddressWindow:  2 * time.Second,
		Links:          3,
		LinksWindow:    10 * time.Second,
		HoneypotWindow: 10 * time.Second,
		EarlyOpen:      time.Minute,
		EarlyClick:     30 * time.Second,
		TwoLinksWindow: 5 * time.Second,
		Repeat:         10 * time.Second,
	}
}

// Validate reports the first setting that is out of its bounds.
func (o Options) Validate() error {
	for _, d := range []struct {
		key   string
		value time.Duration
		high  time.Duration
	}{
		{"address_window", o.AddressWindow, 10 * time.Minute},
		{"links_window", o.LinksWindow, 10 * time.Minute},
		{"honeypot_window", o.HoneypotWindow, 10 * time.Minute},
		{"early_open", o.EarlyOpen, 24 * time.Hour},
		{"early_click", o.EarlyClick, 24 * time.Hour},
		{"two_links_window", o.TwoLinksWindow, 10 * time.Minute},
	} {
		if d.value < 0 || d.value > d.high || d.value%time.Millisecond != 0 {
			return fmt.Errorf("%s: %v: want whole milliseconds from 0 to %v", d.key, d.value, d.high)
		}
	}
	if o.Links != 0 && (o.Links < 2 || o.Links > maxLinks) {
		return fmt.Errorf("links: %d: want 0, or 2 to %d", o.Links, maxLinks)
	}
	w := o.Weights
	for _, n := range []struct {
		key   string
		value float64
	}{
		{"threshold", w.Threshold},
		{"early_open", w.EarlyOpen},
		{"early_click", w.EarlyClick},
		{"two_links", w.TwoLinks},
		{"click_without_open", w.ClickWithoutOpen},
		{"accept_no_html", w.AcceptNoHTML},
		{"shared_address", w.SharedAddress},
	} {
		if !(n.value >= 0 && n.value <= 1000) {
			return fmt.Errorf("weights.%s: %v: want 0 to 1000", n.key, n.value)
		}
	}
	return nil
}

// of returns the sum of what weighs among r.
func (w *WeightOptions) of(r Reasons) (sum float64) {
	for _, n := range [...]struct {
		reason Reasons
		weight float64
	}{
		{EarlyOpen, w.EarlyOpen},
		{EarlyClick, w.EarlyClick},
		{TwoLinks, w.TwoLinks},
		{ClickWithoutOpen, w.ClickWithoutOpen},
		{AcceptNoHTML, w.AcceptNoHTML},
		{SharedAddress, w.SharedAddress},
	} {
		if r.Has(n.reason) {
			sum += n.weight
		}
	}
	return sum
}

// Reach returns how far two hits may lie apart that bear on each other.
func (o *Options) Reach() event.Millis {
	return millis(max(o.AddressWindow, o.LinksWindow, o.HoneypotWindow, o.TwoLinksWindow, o.Repeat))
}
