"""Programs as text that tests of several rooms run or describe."""

SOFTMAX = """
program softmax
axis rows parallel
axis cols reduced
slot x f32 in (rows, cols)
slot y f32 out (rows, cols)
reduce
  load.f32 r[0] <- s[x]
  amax.f32 acc[1] <- max(acc[1], r[0])
reduce
  load.f32 r[2] <- s[x]
  sub.f32 r[3] <- r[2] - r[1]
  exp.f32 r[4] <- exp(r[3])
  sum.f32 acc[5] <- acc[5] + r[4]
map
  load.f32 r[6] <- s[x]
  sub.f32 r[7] <- r[6] - r[1]
  exp.f32 r[8] <- exp(r[7])
  div.f32 r[9] <- r[8] / r[5]
  store.f32 s[y] <- r[9]
"""

SUMS = """
program sums
axis rows parallel
axis cols reduced
slot x f32 in (rows, cols)
slot y f32 out (rows)
reduce
  load.f32 r[0] <- s[x]
  sum.f32 acc[1] <- acc[1] + r[0]
scalar
  store.f32 s[y] <- r[1]
"""

DOUBLE = """
axis n parallel
slot x f32 in (n)
slot y f32 out (n)
map
  load.f32 r[0] <- s[x]
  add.f32 r[1] <- r[0] + r[0]
  store.f32 s[y] <- r[1]
"""

#: Leaves the flag of a division by zero where x has one.
DIVIDE = """
axis n parallel
slot x i32 in (n)
slot y i32 out (n)
map
  load.i32 r[0] <- s[x]
  floor_div.i32 r[1] <- floor(r[0] / r[0])
  store.i32 s[y] <- r[1]
"""
