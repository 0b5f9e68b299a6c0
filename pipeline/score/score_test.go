package score

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

func scorer(t testing.TB) *Profile {
	t.Helper()
	s, err := New(Default())
	if err != nil {
		t.Fatal(err)
	}
	return s.For("a")
}

// TestScore compares with values computed by hand, or in 40-digit decimal arithmetic where a root is involved.
func TestScore(t *testing.T) {
	for _, tt := range []struct {
		name       string
		counts     Counts
		want       Score
		sufficient bool
	}{
		{"nothing", Counts{}, Score{50, Replies, 0, 50, 0, 100, Fair, []Band{Poor, Fair, Good, Excellent}}, false},
		{
			"97, all replied",
			Counts{Completed: 97, Replied: 97},
			Score{100, Replies, 50, 50, 76.905957474, 100, Excellent, []Band{Good, Excellent}},
			false,
		},
		{
			"100 with 3 bounces",
			Counts{Completed: 100, Replied: 5, Bounced: 3},
			Score{63.079896907, Replies, 28.079896907, 35, 14.810700692, 91.133626517, Good, []Band{Poor, Fair, Good, Excellent}},
			true,
		},
		{
			"1000",
			Counts{Completed: 1000, Replied: 60, Bounced: 20},
			Score{71.709183673, Replies, 31.709183673, 40, 61.007296882, 80.512145970, Good, []Band{Good, Excellent}},
			true,
		},
		{
			"42.5 and 45",
			Counts{Completed: 1000, Replied: 99, Bounced: 10},
			Score{87.5, Replies, 42.5, 45, 79.052955693, 94.844985290, Excellent, []Band{Good, Excellent}},
			true,
		},
		{"all bounced", Counts{Completed: 100, Bounced: 100}, Score{0, Replies, 0, 0, 0, 50, Poor, []Band{Poor}}, true},
		{
			"bounces of 8 %",
			Counts{Completed: 200, Replied: 92, Bounced: 16},
			Score{50, Replies, 50, 0, 50, 65.159414110, Poor, []Band{Poor}},
			true,
		},
		{
			"complaints of 0.2 %",
			Counts{Completed: 1000, Replied: 200, Complained: 2},
			Score{100, Replies, 50, 50, 98.086620757, 100, Excellent, []Band{Excellent}},
			true,
		},
		{
			"complaints of 0.3 %",
			Counts{Completed: 1000, Replied: 200, Complained: 3},
			Score{100, Replies, 50, 50, 98.086620757, 100, Poor, []Band{Poor}},
			true,
		},
	} {
		got := scorer(t).Score(tt.counts)
		g, w := got.Score, tt.want
		same := near(g.Value, w.Value) && near(g.Reply, w.Reply) && near(g.Bounce, w.Bounce) && near(g.Low, w.Low) && near(g.High, w.High)
		if !same || g.Band != w.Band || !reflect.DeepEqual(g.Bands, w.Bands) {
			t.Errorf("%s: got %+v, want %+v", tt.name, g, w)
		}
		if got.Sufficient != tt.sufficient {
			t.Errorf("%s: sufficient %v, want %v", tt.name, got.Sufficient, tt.sufficient)
		}
	}
}

func TestRatesHaveTheirDenominators(t *testing.T) {
	r := scorer(t).Score(Counts{Completed: 100, Replied: 9, Bounced: 10, Complained: 2, Unsubscribed: 3, Opened: 40, Clicked: 5})
	for _, tt := range []struct {
		name string
		got  Rate
		k, n int64
	}{
		{"reply", r.Reply, 9, 90},
		{"bounce", r.Bounce, 10, 100},
		{"complaint", r.Complaint, 2, 100},
		{"unsubscribe", r.Unsubscribe, 3, 100},
		{"open", r.Open, 40, 100},
		{"click", r.Click, 5, 100},
	} {
		if want := Wilson(tt.k, tt.n); tt.got != want {
			t.Errorf("%s rate: got %v, want %v", tt.name, tt.got, want)
		}
	}
}

func TestBandsBeginAtTheirBorder(t *testing.T) {
	s := scorer(t)
	for _, tt := range []struct {
		value float64
		want  Band
	}{
		{0, Poor},
		{39.999, Poor},
		{40, Fair},
		{59.999, Fair},
		{60, Good},
		{79.999, Good},
		{80, Excellent},
		{100, Excellent},
		// What floating point makes of 60: three thirds of it, each a little short.
		{50 - 15*(0.02/0.03) + 19.999999999999996, Good},
	} {
		if got := bandsFromWorst[s.band(tt.value)]; got != tt.want {
			t.Errorf("band of %v: got %s, want %s", tt.value, got, tt.want)
		}
	}
}

// TestOrder holds for any counts that rollup can give: parts and sums in their ranges, the band among the bands.
func TestOrder(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	s := scorer(t)
	for range 50_000 {
		c := Counts{Completed: rng.Int64N(1 << rng.IntN(20))}
		c.Bounced = rng.Int64N(1 + c.Completed/(1+rng.Int64N(50)))
		c.Replied = rng.Int64N(1 + (c.Completed-c.Bounced)/(1+rng.Int64N(50)))
		c.Complained = rng.Int64N(1 + c.Completed/1000)
		g := s.Score(c).Score
		ordered := 0 <= g.Low && g.Low <= g.Value && g.Value <= g.High && g.High <= 100 && g.Value == g.Reply+g.Bounce
		if !ordered || !containsBand(g.Bands, g.Band) {
			t.Fatalf("score of %+v is out of order: %+v (seed %d)", c, g, seed)
		}
	}
}

func containsBand(bands []Band, b Band) bool {
	for _, have := range bands {
		if have == b {
			return true
		}
	}
	return false
}

func TestJSON(t *testing.T) {
	got, err := json.Marshal(scorer(t).Score(Counts{Completed: 1000, Replied: 200, Complained: 3}))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`{"reply_rate":{"value":0.2,"low":0.17`, `"bounce_rate":{"value":0,"low":0,"high":0.0038`, `"complaint_rate":{"value":0.003,`,
		`"score":{"value":100,"goal":"replies","reply":50,"bounce":50,"low":98.0866207`, `"high":100,"band":"poor","bands":["poor"]},"sufficient":true,"profile":"default"}`,
	} {
		if !strings.Contains(string(got), want) {
			t.Errorf("%s\nlacks %s", got, want)
		}
	}
}

func TestDefaultIsValid(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Fatal(err)
	}
}

func TestValidateNamesTheKey(t *testing.T) {
	for _, tt := range []struct {
		change func(*Options)
		want   string
	}{
		{func(o *Options) { o.ReplyPoints = nil }, "reply_points: 0 points: want 1 to 100"},
		{func(o *Options) { o.ReplyPoints = make([]string, 101) }, "reply_points: 101 points: want 1 to 100"},
		{func(o *Options) { o.ReplyPoints = []string{"3"} }, `reply_points: "3": want rate:points`},
		{func(o *Options) { o.ReplyPoints = []string{"x:1"} }, `reply_points: "x:1": want rate:points`},
		{func(o *Options) { o.ReplyPoints = []string{"NaN:1"} }, `reply_points: "NaN:1": want rate:points`},
		{func(o *Options) { o.ReplyPoints = []string{"0:NaN"} }, `reply_points: "0:NaN": want rate:points`},
		{func(o *Options) { o.ReplyPoints = []string{"3:20"} }, `reply_points: "3:20": want rate:points`},
		{func(o *Options) { o.ReplyPoints = []string{"0:-1"} }, `reply_points: "0:-1": want rate:points`},
		{func(o *Options) { o.ReplyPoints = []string{"0.1:1", "0.1:2"} }, `reply_points: "0.1:2": want a rate above 0.1`},
		{func(o *Options) { o.ReplyPoints = []string{"0:5", "0.1:4"} }, `reply_points: "0.1:4": want at least 5 points`},
		{func(o *Options) { o.BouncePoints = []string{"0:5", "0.1:6"} }, `bounce_points: "0.1:6": want at most 5 points`},
		{func(o *Options) { o.BouncePoints = []string{"0:60", "0.1:6"} }, "bounce_points: 60: want at most 50 points"},
		{func(o *Options) { o.FairFrom = -1 }, "fair_from: -1: want 0 to 100"},
		{func(o *Options) { o.GoodFrom = 39 }, "good_from: 39: want 40 to 100"},
		{func(o *Options) { o.ExcellentFrom = 101 }, "excellent_from: 101: want 60 to 100"},
		{func(o *Options) { o.PoorBounceRate = 8 }, "poor_bounce_rate: 8: want above 0, at most 1"},
		{func(o *Options) { o.PoorComplaintRate = 0 }, "poor_complaint_rate: 0: want above 0, at most 1"},
		{func(o *Options) { o.Minimum = 0 }, "minimum: 0: want 1 or more"},
	} {
		o := Default()
		tt.change(&o)
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
}

func TestPointsCanBeChanged(t *testing.T) {
	o := Default()
	o.ReplyPoints = []string{"0.1:10"}
	o.BouncePoints = []string{"0.5:20", "1:0"}
	all, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s := all.For("a")
	// One point is a constant; before the first and after the last a curve is level.
	if g := s.Score(Counts{Completed: 100, Bounced: 75}).Score; g.Reply != 10 || g.Bounce != 10 {
		t.Errorf("got %+v, want parts of 10 and 10", g)
	}
	if g := s.Score(Counts{Completed: 100}).Score; g.Reply != 10 || g.Bounce != 20 {
		t.Errorf("got %+v, want parts of 10 and 20", g)
	}
}

func BenchmarkScore(b *testing.B) {
	s := scorer(b)
	b.ReportAllocs()
	for b.Loop() {
		s.Score(Counts{Completed: 1000, Replied: 60, Bounced: 20})
	}
}
