package report

// A system of Japanese providers, not known by name (X1 in the literature): the reason stands in brackets.
//
//	---The following addresses had delivery errors---
//
//	bob@example.com [User unknown]
var x1Notice = notice{
	intro: known("---The following addresses had delivery errors---"),
	begin: []byte("---The following addresses had delivery errors---"),
}
