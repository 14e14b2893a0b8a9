// Prints dependences.txt: the edges of graphs of every pattern, by Task Bench's own functions, for the tests of `task_graph`.
//
// In the folder `core` of https://github.com/StanfordLegion/task-bench at commit bf4ad19:
//   gcc -std=c11 -O1 -c core_random.c siphash.c
//   g++ -std=c++11 -O1 -I. print.cc core.cc core_kernel.cc timer.cc core_random.o siphash.o -o print && ./print > dependences.txt
//
// A line is a graph: pattern, width, steps, radix and fraction_connected, and then its rows. A row is its first point, a colon, and
// for each point the points of the row before that it needs, in Task Bench's order; `.` for none, and `a-b` for all from a to b.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "core.h"

static TaskGraph graph(DependenceType dependence, long width, long steps, long radix, double fraction) {
  TaskGraph graph = TaskGraph();
  graph.timesteps = steps;
  graph.max_width = width;
  graph.dependence = dependence;
  graph.radix = radix;
  graph.fraction_connected = fraction;
  graph.period = dependence == DependenceType::SPREAD || dependence == DependenceType::RANDOM_NEAREST ? 3 : 0;
  return graph;
}

// As `App::display` cuts them: edges from outside of the row before are none.
static std::vector<std::pair<long, long>> spans(const TaskGraph &graph, long step, long point) {
  std::vector<std::pair<long, long>> cut;
  if (step == 0) return cut;
  long first = graph.offset_at_timestep(step - 1), end = first + graph.width_at_timestep(step - 1);
  // Its own vectors are as long as `num_dependencies` says, which is too short for some graphs that its program refuses.
  std::vector<std::pair<long, long>> all(graph.num_dependencies(0, point) + 8);
  all.resize(graph.dependencies(graph.dependence_set_at_timestep(step), point, all.data()));
  for (auto span : all) {
    long from = std::max(span.first, first), to = std::min(span.second, end - 1);
    if (from <= to) cut.push_back({from, to});
  }
  return cut;
}

static void print(const char *name, DependenceType dependence, long width, long steps, long radix, double fraction) {
  TaskGraph one = graph(dependence, width, steps, radix, fraction);
  printf("%s %ld %ld %ld %g", name, width, steps, radix, fraction);
  for (long step = 0; step < steps; ++step) {
    long first = one.offset_at_timestep(step), end = first + one.width_at_timestep(step);
    printf(" | %ld:", first);
    for (long point = first; point < end; ++point) {
      const char *before = " ";
      for (auto span : spans(one, step, point)) {
        printf(span.first == span.second ? "%s%ld" : "%s%ld-%ld", before, span.first, span.second);
        before = ",";
      }
      if (*before == ' ') printf(" .");
    }
  }
  printf("\n");
}

int main() {
  const struct { const char *name; DependenceType type; } patterns[] = {
    {"stencil_1d", DependenceType::STENCIL_1D}, {"stencil_1d_periodic", DependenceType::STENCIL_1D_PERIODIC},
    {"trivial", DependenceType::TRIVIAL}, {"no_comm", DependenceType::NO_COMM}, {"dom", DependenceType::DOM},
    {"tree", DependenceType::TREE}, {"fft", DependenceType::FFT}, {"all_to_all", DependenceType::ALL_TO_ALL},
  };
  const long sizes[][2] = {{1, 4}, {2, 4}, {3, 5}, {4, 1}, {4, 2}, {5, 9}, {7, 3}, {8, 6}, {12, 7}, {16, 4}, {17, 6}, {33, 8}};
  for (auto pattern : patterns) {
    for (auto size : sizes) {
      // Task Bench divides by zero.
      if (pattern.type == DependenceType::FFT && size[0] == 1) continue;
      print(pattern.name, pattern.type, size[0], size[1], 3, 0.25);
    }
  }
  const long radixes[] = {1, 2, 3, 4, 7};
  for (auto radix : radixes) {
    for (auto size : sizes) {
      print("nearest", DependenceType::NEAREST, size[0], size[1], radix, 0.25);
      print("spread", DependenceType::SPREAD, size[0], size[1], radix, 0.25);
      print("random_nearest", DependenceType::RANDOM_NEAREST, size[0], size[1], radix, radix == 3 ? 0.25 : 0.6);
    }
  }
  print("nearest", DependenceType::NEAREST, 4, 3, 0, 0.25);
  print("spread", DependenceType::SPREAD, 4, 3, 0, 0.25);
  print("random_nearest", DependenceType::RANDOM_NEAREST, 9, 5, 5, 0);
  print("random_nearest", DependenceType::RANDOM_NEAREST, 9, 5, 5, 1);
}
