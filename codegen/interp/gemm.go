package interp

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"
)

// packing is a worker's memory for blocks of matrices.
type packing[F float] struct {
	a, b, c    []F
	rows, cols table
	loops      []int
	runs       []run
}

// run is a run of neighbouring elements of a packed row: n from the table's entry k on.
type run struct{ k, n int }

// product of matrices that are stored row by row, or column by column if transposed: c = a·b, added to c if accumulate is set.
//
// gonum passes over zero elements of a, for which it then does not see that 0·Inf and 0·NaN are NaN. So a b that is not finite goes the slow
// way.
func gemm[F float](aTrans, bTrans, finite bool, m, n, k int, a []F, lda int, b []F, ldb int, accumulate bool, c []F, ldc int) {
	if !finite && !bTrans {
		slowGemm(aTrans, m, n, k, a, lda, b, ldb, accumulate, c, ldc)
		return
	}
	var beta F
	if accumulate {
		beta = 1
	}
	ta, tb := blas.NoTrans, blas.NoTrans
	if aTrans {
		ta = blas.Trans
	}
	if bTrans {
		tb = blas.Trans
	}
	switch a := any(a).(type) {
	case []float32:
		blas32.Implementation().Sgemm(ta, tb, m, n, k, 1, a, lda, any(b).([]float32), ldb, float32(beta), any(c).([]float32), ldc)
	case []float64:
		blas64.Implementation().Dgemm(ta, tb, m, n, k, 1, a, lda, any(b).([]float64), ldb, float64(beta), any(c).([]float64), ldc)
	}
}

func slowGemm[F float](aTrans bool, m, n, k int, a []F, lda int, b []F, ldb int, accumulate bool, c []F, ldc int) {
	for i := range m {
		row := c[i*ldc : i*ldc+n]
		if !accumulate {
			clear(row)
		}
		for l := range k {
			x := a[i*lda*btoi(!aTrans)+l*btoi(!aTrans)+btoi(aTrans)*(l*lda+i)]
			for j, y := range b[l*ldb : l*ldb+n] {
				row[j] += x * y
			}
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// fill computes the table of the points [p0, p1) of o's rows or columns; loops holds the values of the batch loops.
func (t *contraction) fill(tab *table, o *operand, rows bool, p0, p1 int, loops []int) {
	group, off := o.cols, &o.colOff
	if rows {
		group, off = o.rows, &o.rowOff
	}
	tab.off = tab.off[:0]
	for len(tab.chk) < len(o.checks) {
		tab.chk = append(tab.chk, nil)
	}
	tab.chk = tab.chk[:len(o.checks)]
	for d := range tab.chk {
		tab.chk[d] = tab.chk[d][:0]
	}
	t.unflatten(loops, group, p0)
	for p := p0; p < p1; p++ {
		tab.off = append(tab.off, off.at(loops, nil))
		for d := range o.checks {
			x := &o.checks[d].col
			if rows {
				x = &o.checks[d].row
			}
			tab.chk[d] = append(tab.chk[d], x.at(loops, nil))
		}
		for i := len(group) - 1; i >= 0; i-- {
			l := group[i]
			if loops[l]++; loops[l] < t.extents[l] {
				break
			}
			loops[l] = 0
		}
	}
	for _, l := range group {
		loops[l] = 0
	}
}

func (t *contraction) unflatten(loops, group []int, p int) {
	for i := len(group) - 1; i >= 0; i-- {
		l := group[i]
		loops[l] = p % t.extents[l]
		p /= t.extents[l]
	}
}

// points returns the part [p0, p1) of a table, made now if it is not kept.
func (t *contraction) points(o *operand, rows bool, p0, p1 int, scratch *table, loops []int) table {
	kept := o.colTable
	if rows {
		kept = o.rowTable
	}
	if kept == nil {
		t.fill(scratch, o, rows, p0, p1, loops)
		return *scratch
	}
	cut := table{off: kept.off[p0:p1], chk: make([][]int, len(kept.chk))}
	for d := range cut.chk {
		cut.chk[d] = kept.chk[d][p0:p1]
	}
	return cut
}

// get returns the block of rows [r0, r1) and columns [c0, c1) of o: where it lies, or packed into own. loops holds the batch loops.
func get[F float](t *contraction, w *packing[F], o *operand, src []F, own *[]F, r0, r1, c0, c1 int, loops []int) (block []F, ld int) {
	if o.direct {
		at := o.rowOff.at(loops, nil) + o.colOff.at(loops, nil) + r0*o.rowPitch + c0*o.colPitch
		if o.trans {
			return src[at:], o.colPitch
		}
		return src[at:], o.rowPitch
	}
	outer := t.points(o, true, r0, r1, &w.rows, loops)
	inner := t.points(o, false, c0, c1, &w.cols, loops)
	if o.trans {
		outer, inner = inner, outer
	}
	ld = len(inner.off)
	if need := len(outer.off) * ld; cap(*own) < need {
		*own = make([]F, need)
	}
	block = (*own)[:len(outer.off)*ld]
	pack(w, o, src, block, outer, inner)
	return block, ld
}

// pack fills dst, row by row, with the elements at the sums of outer and inner offsets, or zero where a check fails.
func pack[F float](w *packing[F], o *operand, src, dst []F, outer, inner table) {
	runs := w.runs[:0]
	for k := 0; k < len(inner.off); {
		e := k + 1
	grow:
		for e < len(inner.off) && inner.off[e] == inner.off[e-1]+1 {
			for d := range inner.chk {
				if inner.chk[d][e] != inner.chk[d][k] {
					break grow
				}
			}
			e++
		}
		runs = append(runs, run{k, e - k})
		k = e
	}
	w.runs = runs
	n := len(inner.off)
	short := len(runs) == n && len(o.checks) == 0
	for r, base := range outer.off {
		row := dst[r*n : (r+1)*n]
		if short {
			for k, off := range inner.off {
				row[k] = src[base+off]
			}
			continue
		}
		for _, u := range runs {
			to := row[u.k : u.k+u.n]
			inside := true
			for d := range o.checks {
				x := outer.chk[d][r] + inner.chk[d][u.k]
				inside = inside && uint(x) < uint(o.checks[d].size)
			}
			switch {
			case !inside:
				clear(to)
			case u.n < 4:
				for k := range to {
					to[k] = src[base+inner.off[u.k]+k]
				}
			default:
				at := base + inner.off[u.k]
				copy(to, src[at:at+u.n])
			}
		}
	}
}

// runContraction computes t into out.
func runContraction[F float](t *contraction, team *team[F], args []*buffer[F], out *buffer[F]) {
	a, b := args[t.a.number].f, args[t.b.number].f
	m, n, k := t.size[1], t.size[2], t.size[3]
	var packed []F
	if t.prepack {
		packed = packAll(t, team, b)
	}
	var partials []F
	stride := 0 // of the partial results
	if t.rounds > 1 {
		stride = (t.outs[0].m1 - t.outs[0].m0) * (t.outs[0].n1 - t.outs[0].n0)
		partials = team.grow(&team.partials, stride*len(t.outs)*t.rounds)
	}
	work := t.size[0] * m * n * k
	team.run(len(t.outs)*t.rounds, work, func(w *worker[F], job int) {
		q, r := t.outs[job/t.rounds], job%t.rounds
		p := &w.pack
		loops := p.start(t, q.batch)
		rows, cols := q.m1-q.m0, q.n1-q.n0
		var c []F
		ldc := cols
		switch {
		case t.rounds > 1:
			c = partials[job*stride:][:rows*cols]
		case t.c.direct:
			ldc = t.c.rowPitch
			c = out.f[t.cOff.at(loops, nil)+q.m0*ldc+q.n0:]
		default:
			if cap(p.c) < rows*cols {
				p.c = make([]F, rows*cols)
			}
			c = p.c[:rows*cols]
		}
		k0, k1 := r*t.kStep, min(k, (r+1)*t.kStep)
		step := min(1024, max(blockK, (1<<17)/rows))
		for kk := k0; kk < k1; kk += step {
			ke := min(k1, kk+step)
			ab, lda := get(t, p, t.a, a, &p.a, q.m0, q.m1, kk, ke, loops)
			for n0 := q.n0; n0 < q.n1; {
				ne := min(q.n1, n0+blockN)
				if q.n1-n0 <= 3*64 {
					ne = q.n1
				}
				var bb []F
				var ldb int
				if packed != nil {
					bb, ldb = packed[q.batch*k*n+kk*n+n0:], n
				} else {
					bb, ldb = get(t, p, t.b, b, &p.b, kk, ke, n0, ne, loops)
				}
				finite := t.b.trans || finiteBlock(bb, ldb, ke-kk, ne-n0)
				for m0 := 0; m0 < rows; m0 += blockM {
					me := min(rows, m0+blockM)
					for x := kk; x < ke; x += blockK {
						xe := min(ke, x+blockK)
						as := ab[m0*lda*btoi(!t.a.trans)+(x-kk)*btoi(!t.a.trans)+((x-kk)*lda+m0)*btoi(t.a.trans):]
						bs := bb[(x-kk)*ldb*btoi(!t.b.trans)+(x-kk)*btoi(t.b.trans):]
						gemm(t.a.trans, t.b.trans, finite, me-m0, ne-n0, xe-x, as, lda, bs, ldb, x > k0, c[m0*ldc+n0-q.n0:], ldc)
					}
				}
				n0 = ne
			}
		}
		if t.rounds == 1 {
			finishBlock(t, p, q, 0, rows, c, ldc, out.f, loops)
		}
	})
	if t.rounds > 1 {
		mergeRounds(t, team, partials, stride, out.f)
	}
}

// start sets the batch loops to a point.
func (p *packing[F]) start(t *contraction, batch int) []int {
	p.loops = resize(p.loops, len(t.extents), 0)
	t.unflatten(p.loops, t.batch, batch)
	return p.loops
}

func finiteBlock[F float](b []F, ld, rows, cols int) bool {
	for r := range rows {
		if !allFinite(b[r*ld : r*ld+cols]) {
			return false
		}
	}
	return true
}

// packAllJobs divides the rows of B into jobs.
func (t *contraction) packAllJobs() (step, jobs int) {
	k := t.size[3]
	step = max(1, min(k, jobPoints/t.size[2]))
	return step, (k + step - 1) / step
}

// packAll packs B as a whole, row by row, for all points of the batch.
func packAll[F float](t *contraction, team *team[F], src []F) []F {
	n, k := t.size[2], t.size[3]
	dst := team.grow(&team.packed, t.size[0]*n*k)
	step, jobs := t.packAllJobs()
	team.run(jobs*t.size[0], len(dst), func(w *worker[F], job int) {
		p := &w.pack
		batch := job / jobs
		loops := p.start(t, batch)
		k0 := job % jobs * step
		k1 := min(k, k0+step)
		outer := t.points(t.b, true, k0, k1, &p.rows, loops)
		inner := t.points(t.b, false, 0, n, &p.cols, loops)
		pack(p, t.b, src, dst[(batch*k+k0)*n:(batch*k+k1)*n], outer, inner)
	})
	return dst
}

// finishBlock scales the rows [r0, r1) of a block and writes them to the result, unless they are there already.
func finishBlock[F float](t *contraction, p *packing[F], q block, r0, r1 int, c []F, ldc int, out []F, loops []int) {
	cols := q.n1 - q.n0
	if t.scale != 1 {
		s := F(t.scale)
		for r := r0; r < r1; r++ {
			for k, x := range c[r*ldc : r*ldc+cols] {
				if t.divide {
					c[r*ldc+k] = x / s
				} else {
					c[r*ldc+k] = x * s
				}
			}
		}
	}
	if t.c.direct {
		if t.rounds > 1 {
			at := t.cOff.at(loops, nil)
			for r := r0; r < r1; r++ {
				copy(out[at+(q.m0+r)*t.c.rowPitch+q.n0:], c[r*ldc:r*ldc+cols])
			}
		}
		return
	}
	for r := r0; r < r1; r++ {
		t.unflatten(loops, t.m, q.m0+r)
		for j := range cols {
			t.unflatten(loops, t.n, q.n0+j)
			out[t.cOff.at(loops, nil)] = c[r*ldc+j]
		}
	}
}

// mergeRounds adds the partial results of each block in pairs, then in pairs of pairs, and writes the sums.
func mergeRounds[F float](t *contraction, team *team[F], partials []F, stride int, out []F) {
	rows := t.outs[0].m1 - t.outs[0].m0
	chunk := max(1, jobPoints/(t.rounds*max(1, stride/rows)))
	chunks := (rows + chunk - 1) / chunk
	team.run(len(t.outs)*chunks, len(partials), func(w *worker[F], job int) {
		q := t.outs[job/chunks]
		cols := q.n1 - q.n0
		r0 := job % chunks * chunk
		r1 := min(q.m1-q.m0, r0+chunk)
		if r0 >= r1 {
			return
		}
		part := func(r int) []F {
			return partials[(job/chunks*t.rounds+r)*stride:][r0*cols : r1*cols]
		}
		for d := 1; d < t.rounds; d *= 2 {
			for r := 0; r+d < t.rounds; r += 2 * d {
				add(part(r), part(r), part(r+d))
			}
		}
		loops := w.pack.start(t, q.batch)
		finishBlock(t, &w.pack, q, r0, r1, partials[job/chunks*t.rounds*stride:], cols, out, loops)
	})
}
