// Package score turns counts into rates with intervals, and rates into a score and a band, DESIGN §10.
//
//	Counts ──▶ rates, each with its 95 % Wilson interval
//	             reply rate  ──curve──▶ reply part  0-50 ┐
//	             bounce rate ──curve──▶ bounce part 0-50 ┴─ sum ─▶ value ─▶ band
//	             both intervals' bad ends ─────────────────▶ low  ┐
//	             both intervals' good ends ────────────────▶ high ┴▶ bands
//
// It is pure: the same counts and options give the same result; it keeps nothing, reads no clock and imports
// nothing of Carom.
//
// Not obvious:
//
//   - Nothing is rounded. Rates are fractions (0.03 is 3 %), and JSON carries every digit: rounding is the page's job.
//   - A rate of nothing, 0 of 0, is 0 with the interval 0 to 1: nothing is known. So a sender without completed
//     enrollments has the score 50 with low 0 and high 100; Sufficient is what tells that it means nothing.
//   - The caps (a bounce rate of 8 %, complaints of 0.3 %) look at the observed rates, not at their intervals, and
//     bind the band only: the value stays what the curves say. A capped result has the band poor and the bands poor.
//     They don't look at the intervals because a hundred enrollments without a complaint still allow 3.7 %.
//   - Bands are compared to 9 decimals, so that a sum which is 60 on paper is not 59.999… here.
package score
