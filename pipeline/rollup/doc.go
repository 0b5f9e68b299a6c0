// Package rollup keeps cohorts of enrollments per sender and answers with rates and scores, DESIGN §10.
package rollup
