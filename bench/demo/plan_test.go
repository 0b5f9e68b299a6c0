package demo

import (
	"reflect"
	"testing"
	"time"
)

// The same seed plays the same day, repeated loads of a pixel included, and another seed another one.
func TestPlanIsSeeded(t *testing.T) {
	day := time.Date(2026, 11, 16, 17, 0, 0, 0, time.UTC)
	plan := makePlan(7, day)
	if !reflect.DeepEqual(plan, makePlan(7, day)) {
		t.Error("the same seed gives two plans")
	}
	if reflect.DeepEqual(plan, makePlan(8, day)) {
		t.Error("two seeds give the same plan")
	}
	var all fate
	for _, m := range plan {
		all |= m.fate
		if m.sentAt.Before(day) || !m.sentAt.Before(day.Add(24*time.Hour)) {
			t.Errorf("%s is sent at %v, on another day", m.id, m.sentAt)
		}
	}
	if all != isOpenedTwice<<1-1 {
		t.Errorf("of all fates only %b befall a message", all)
	}
}
