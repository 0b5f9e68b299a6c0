package score

import (
	"strings"
	"testing"
)

func profiles(t testing.TB, change func(*Options)) *Scorer {
	t.Helper()
	o := Default()
	change(&o)
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestBroadcast: clicks of what did not bounce take the place of replies, which count for nothing then.
func TestBroadcast(t *testing.T) {
	s := profiles(t, func(o *Options) { o.Accounts = []string{"acme=broadcast"} })
	c := Counts{Completed: 1000, Replied: 200, Bounced: 200, Clicked: 30, ClickedDelivered: 20}
	r := s.For("acme").Score(c)
	// 20 of 800 is 2.5 %, a corner of the curve.
	if r.Goal != Wilson(20, 800) || r.Score.Reply != 35 || r.Score.Goal != Clicks || r.Profile != Broadcast {
		t.Errorf("got %+v", r)
	}
	if r.Reply != Wilson(200, 800) || r.Click != Wilson(30, 1000) {
		t.Errorf("the other rates are those of any profile: %+v", r)
	}
	if r = s.For("other").Score(c); r.Score.Reply != 50 || r.Goal != r.Reply || r.Profile != DefaultProfile {
		t.Errorf("another account: got %+v", r)
	}
}

// TestProfilesChangeWhatTheySay: what a profile says nothing about is the section's.
func TestProfilesChangeWhatTheySay(t *testing.T) {
	s := profiles(t, func(o *Options) {
		o.Minimum = 7
		o.Profiles = []string{
			"news%2Fletter/goal=clicks", "news%2Fletter/click_points=0:0", "news%2Fletter/click_points=0.5:50",
			"news%2Fletter/alert_bounce_rates=none", "strict/alert_bounce_rates=0.01", "strict/minimum=1000", "strict/alert_bands=false",
		}
		o.Accounts = []string{"a%2Cb=news/letter", "c=strict"}
	})
	letter, strict := s.For("a,b"), s.For("c")
	if letter.Name != "news/letter" || letter.Goal != Clicks || len(letter.AlertBounceRates) != 0 || len(letter.AlertComplaintRates) != 2 {
		t.Errorf("got %+v", letter)
	}
	if r := letter.Score(Counts{Completed: 7, ClickedDelivered: 7}); !r.Sufficient || r.Score.Reply != 50 {
		t.Errorf("got %+v", r)
	}
	if r := strict.Score(Counts{Completed: 999}); r.Sufficient || r.Score.Goal != Replies {
		t.Errorf("got %+v", r)
	}
	if strict.AlertBands || len(strict.AlertBounceRates) != 1 || strict.AlertBounceRates[0] != 0.01 {
		t.Errorf("got %+v", strict)
	}
}

// TestHundredWithThreeBounces is the rule at its edge: enough, and an interval of 1.0 to 8.5 %.
func TestHundredWithThreeBounces(t *testing.T) {
	p := scorer(t)
	if r := p.Score(Counts{Completed: 97}); r.Sufficient {
		t.Errorf("97 are enough: %+v", r)
	}
	if p.Score(Counts{Completed: 99}).Sufficient {
		t.Error("99 are enough")
	}
	r := p.Score(Counts{Completed: 100, Bounced: 3})
	if !r.Sufficient || !(r.Bounce.Low > 0.0095 && r.Bounce.Low < 0.0105 && r.Bounce.High > 0.0845 && r.Bounce.High < 0.0855) {
		t.Errorf("got %+v, want an interval of 1.0-8.5 %%", r)
	}
}

func TestProfilesAreChecked(t *testing.T) {
	for _, tt := range []struct {
		change func(*Options)
		want   string
	}{
		{func(o *Options) { o.Goal = "opens" }, `goal: "opens": want replies or clicks`},
		{func(o *Options) { o.ClickPoints = nil }, "click_points: 0 points"},
		{func(o *Options) { o.Profiles = []string{"x"} }, `profiles: "x": want NAME/KEY=VALUE`},
		{func(o *Options) { o.Profiles = []string{"default/goal=clicks"} }, "the profile default is what the section itself says"},
		{func(o *Options) { o.Profiles = []string{"x/gaol=clicks"} }, `profiles: x: "gaol": is no key of a profile`},
		{func(o *Options) { o.Profiles = []string{"x/goal=opens"} }, `profiles: x: goal: "opens"`},
		{func(o *Options) { o.Profiles = []string{"x/goal=clicks", "x/goal=replies"} }, "profiles: x: goal: is given twice"},
		{func(o *Options) { o.Profiles = []string{"x/minimum=many"} }, `profiles: x: minimum: "many": want a number`},
		{func(o *Options) { o.Profiles = []string{"broadcast/fair_from=70"} }, "profiles: broadcast: good_from"},
		{func(o *Options) { o.Accounts = []string{"acme=nothing"} }, `accounts: acme: "nothing": want the name of a profile`},
		{func(o *Options) { o.Accounts = []string{"acme=default", "acme=broadcast"} }, "accounts: acme: is given twice"},
		{func(o *Options) { o.Accounts = []string{"=broadcast"} }, `accounts: "=broadcast": want ACCOUNT=PROFILE`},
		{func(o *Options) { o.AlertBounceRates = []string{"3 %"} }, `alert_bounce_rates: "3 %": want a share`},
		{func(o *Options) { o.AlertComplaintRates = make([]string, 11) }, "alert_complaint_rates: 11 shares: want 10 at most"},
	} {
		o := Default()
		tt.change(&o)
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
	o := Default()
	o.BouncePoints, o.ReplyPoints = []string{"0:70", "1:0"}, []string{"0:0", "1:30"}
	if err := o.Validate(); err != nil {
		t.Errorf("points of clicks that nobody uses: %v", err)
	}
}
