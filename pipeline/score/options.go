package score

import "fmt"

// Options are the score's settings.
type Options struct {
	ReplyPoints  []string `yaml:"reply_points" doc:"Corners rate:points of the curve from reply rate (0 to 1) to the reply part, rates rising, points not falling."`
	BouncePoints []string `yaml:"bounce_points" doc:"Corners rate:points of the curve from bounce rate (0 to 1) to the bounce part, rates rising, points not rising. The most that both curves give must not pass 100 together."`

	FairFrom      float64 `yaml:"fair_from" doc:"Lowest score of the band fair, 0 to 100; below it is poor."`
	GoodFrom      float64 `yaml:"good_from" doc:"Lowest score of the band good, fair_from to 100."`
	ExcellentFrom float64 `yaml:"excellent_from" doc:"Lowest score of the band excellent, good_from to 100."`

	PoorBounceRate    float64 `yaml:"poor_bounce_rate" doc:"Bounce rate (above 0, at most 1) from which the band is poor, whatever the score."`
	PoorComplaintRate float64 `yaml:"poor_complaint_rate" doc:"Complaint rate (above 0, at most 1) from which the band is poor, whatever the score."`

	Minimum int64 `yaml:"minimum" doc:"Completed enrollments, 1 or more, under which a score is marked as not sufficient."`
}

// Default returns the settings of DESIGN §10.
func Default() Options {
	return Options{
		ReplyPoints:       []string{"0:0", "0.03:20", "0.07:35", "0.13:50"},
		BouncePoints:      []string{"0:50", "0.03:35", "0.05:15", "0.08:0"},
		FairFrom:          40,
		GoodFrom:          60,
		ExcellentFrom:     80,
		PoorBounceRate:    0.08,
		PoorComplaintRate: 0.003,
		Minimum:           100,
	}
}

// Validate reports the first setting that can't be used.
func (o Options) Validate() error {
	_, err := New(o)
	return err
}

func (o Options) validateNumbers() error {
	for _, f := range []struct {
		key              string
		value, low, high float64
	}{
		{"fair_from", o.FairFrom, 0, 100},
		{"good_from", o.GoodFrom, o.FairFrom, 100},
		{"excellent_from", o.ExcellentFrom, o.GoodFrom, 100},
	} {
		if !(f.value >= f.low && f.value <= f.high) {
			return fmt.Errorf("%s: %v: want %v to %v", f.key, f.value, f.low, f.high)
		}
	}
	if !(o.PoorBounceRate > 0 && o.PoorBounceRate <= 1) {
		return fmt.Errorf("poor_bounce_rate: %v: want above 0, at most 1", o.PoorBounceRate)
	}
	if !(o.PoorComplaintRate > 0 && o.PoorComplaintRate <= 1) {
		return fmt.Errorf("poor_complaint_rate: %v: want above 0, at most 1", o.PoorComplaintRate)
	}
	if o.Minimum < 1 {
		return fmt.Errorf("minimum: %d: want 1 or more", o.Minimum)
	}
	return nil
}
