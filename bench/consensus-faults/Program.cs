using System.Diagnostics;
using System.Globalization;
using Kcore.TestKit.Faults;
using Kcore.TestKit.Lan;

// Real daemons under faults while clients attach and detach NICs, for as many operations as asked; what clients were told
// goes through both checkers, and what the hosts hold is compared with what the log holds.
const string Usage = "./dev bench consensus-faults [--operations 10000] [--nodes 3,5] [--seed N] [--swap yes|no]";
const int PhaseOperations = 250;
const int Clients = 12;
int operations = 10_000;
int[] sizes = [3, 5];
int seed = 1;
bool swaps = false;
try
{
    for (int i = 0; i + 1 < args.Length; i += 2)
    {
        switch (args[i])
        {
            case "--operations": operations = int.Parse(args[i + 1], CultureInfo.InvariantCulture); break;
            case "--nodes": sizes = [.. args[i + 1].Split(',').Select(n => int.Parse(n, CultureInfo.InvariantCulture))]; break;
            case "--seed": seed = int.Parse(args[i + 1], CultureInfo.InvariantCulture); break;
            case "--swap": swaps = args[i + 1] switch { "yes" => true, "no" => false, _ => throw new FormatException("--swap is yes or no") }; break;
            default: throw new FormatException($"unknown word '{args[i]}'");
        }
    }

    if (args.Length % 2 != 0 || operations < 1 || sizes.Any(s => s is < 3 or > 9))
    {
        throw new FormatException("every option has a value; 3 to 9 nodes");
    }

    if (swaps && sizes.Any(s => s is 3))
    {
        throw new FormatException("--swap needs a node that does not vote: 4 or more, 7 for five voters");
    }
}
catch (FormatException e)
{
    Console.Error.WriteLine($"{e.Message}\n\n{Usage}");
    return 2;
}

int wrong = 0;
if (SmallDisk.NotSlowBecause is { } reason)
{
    Console.Error.WriteLine($"without slow disks: {reason}");
}

foreach (int nodes in sizes)
{
    var random = new Random(seed);
    int goal = operations / sizes.Length, done = 0, granted = 0, late = 0, released = 0, phases = 0;
    long begun = Stopwatch.GetTimestamp();
    Dictionary<Fault, int> happened = [];
    await using NodeLan lan = await NodeLan.CreateAsync(nodes);
    await using SmallDisks disks = await SmallDisks.MountAsync(lan);
    foreach (LanNode node in lan.Nodes)
    {
        node.Start();
    }

    await FaultCourse.VotersAsync(lan, nodes >= 7 ? 5 : 3);
    await using var course = new FaultCourse(lan, disks.Disks, random, text => Console.Error.WriteLine($"{nodes} nodes, {done} operations: {text}"));
    while (done < goal)
    {
        Fault[] faults = [.. FaultCourse.Possible];
        random.Shuffle(faults);
        faults = faults[..2];
        Count(await course.RunAsync(faults, TimeSpan.FromSeconds(2 + (random.NextDouble() * 3)), Clients, Math.Min(PhaseOperations, goal - done)));
        foreach (Fault fault in faults)
        {
            happened[fault] = happened.GetValueOrDefault(fault) + 1;
        }
    }

    if (swaps)
    {
        SwapReport swap = await course.SwapAsync(Clients, PhaseOperations);
        foreach (PhaseReport report in swap.Phases)
        {
            Count(report);
        }

        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{nodes} nodes: voter {swap.Gone} was gone for good, {swap.Successor} votes in its place after {swap.After.TotalSeconds:0} s; {swap.Phases.Sum(p => p.Operations)} operations meanwhile and when it was back"));
    }

    Console.WriteLine(string.Create(
        CultureInfo.InvariantCulture,
        $"{nodes} nodes: {done} operations in {phases} phases and {Stopwatch.GetElapsedTime(begun).TotalSeconds:0} s; {granted} addresses, {late} of them learnt late, {released} released; faults: {string.Join(", ", happened.Select(h => $"{h.Key} × {h.Value}"))}; daemons that ended by themselves: {course.Restarts}; seed {seed}"));

    void Count(PhaseReport report)
    {
        done += report.Operations;
        granted += report.Granted;
        late += report.Late;
        released += report.Released;
        phases++;
        foreach (string violation in report.Violations)
        {
            wrong++;
            Console.WriteLine($"VIOLATION ({nodes} nodes, phase {phases}, seed {seed}): {violation}");
        }
    }
}

Console.WriteLine(wrong == 0 ? "no duplicate, no answer out of order, no lease without a NIC, no NIC without a lease" : $"{wrong} violations");
return wrong == 0 ? 0 : 1;
