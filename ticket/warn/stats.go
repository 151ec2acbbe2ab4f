package warn

import "math"

// poissonTail is P(X ≥ k) of a Poisson count with mean λ.
func poissonTail(k int, lambda float64) float64 {
	if k <= 0 {
		return 1
	}
	term, sum := math.Exp(-lambda), 0.0
	for i := range k {
		sum += term
		term *= lambda / float64(i+1)
	}
	return max(0, 1-sum)
}

// wilsonLow is the lower end of Wilson's 95 % interval of x in n.
func wilsonLow(x, n int) float64 {
	if n == 0 {
		return 0
	}
	const z = 1.959964
	p, m := float64(x)/float64(n), float64(n)
	return (p + z*z/(2*m) - z*math.Sqrt(p*(1-p)/m+z*z/(4*m*m))) / (1 + z*z/m)
}

// lowerP is the one-sided p that the share a of n is lower than b of m only by chance (two-proportion test, pooled).
func lowerP(a, n, b, m int) float64 {
	if n == 0 || m == 0 {
		return 1
	}
	pool := float64(a+b) / float64(n+m)
	se := math.Sqrt(pool * (1 - pool) * (1/float64(n) + 1/float64(m)))
	if se == 0 {
		return 1
	}
	z := (float64(a)/float64(n) - float64(b)/float64(m)) / se
	return 0.5 * math.Erfc(-z/math.Sqrt2)
}
