// The function of the benchmark, for runtimes that answer HTTP themselves: the same JSON in and out as Weir's.
export default {
  async fetch(request) {
    const { numbers } = (await request.json()).variables;
    const sum = numbers.reduce((sum, number) => sum + number, 0);
    return Response.json({ data: { stats: { count: numbers.length, sum, mean: sum / numbers.length } } });
  },
};
