using System.Globalization;
using Kcore.Bench.Membership;
using Kcore.TestKit.Lan;
using Kcore.TestKit.Processes;

// Membership of real kcored daemons beside real Serf agents: same machine, same namespaces and switch, in turn.
Options options;
try
{
    options = Options.Parse(args);
}
catch (FormatException e)
{
    Console.Error.WriteLine($"{e.Message}\n\n{Options.Usage}");
    return 2;
}

if (options.Replay is { } recorded)
{
    return await ReplayRun.RunAsync(options, recorded) ? 0 : 1;
}

if (options.Absence is { } absent)
{
    return await AbsenceRun.RunAsync(options, absent) ? 0 : 1;
}

if (options.Cost is { } updates)
{
    await CostRun.RunAsync(options, updates);
    return 0;
}

if (options.Wants("serf") && (await Command.RunAsync("sh", ["-c", "command -v serf"])).ExitCode != 0)
{
    Console.Error.WriteLine("installing the Debian package serf");
    (await Command.RunAsync(
        "apt-get", ["-qq", "-y", "-o", "DPkg::Lock::Timeout=120", "install", "--no-install-recommends", "serf"],
        new Dictionary<string, string>(StringComparer.Ordinal) { ["DEBIAN_FRONTEND"] = "noninteractive" }, limit: TimeSpan.FromMinutes(5))).OrThrow();
}

if (options.FalseDeaths is { } watched)
{
    return await FalseDeathsRun.RunAsync(options, watched) ? 0 : 1;
}

Results results = new();
string serf = options.Wants("serf") ? (await Command.OutputAsync("serf", "version")).Split('\n')[0] : "no Serf";
results.Note(string.Create(
    CultureInfo.InvariantCulture,
    $"{Environment.ProcessorCount} cores, kernel {Environment.OSVersion.Version}, {serf}, load average before: {File.ReadAllText("/proc/loadavg").Trim()}"));
foreach (int nodes in options.Nodes.IsEmpty ? [3, 8, 16, 32] : options.Nodes)
{
    for (int run = 0; run < options.Runs; run++)
    {
        foreach (string side in Options.Sides.Where(options.Wants))
        {
            Console.Error.WriteLine($"N = {nodes}, run {run + 1} of {options.Runs}: {side}");
            await using NodeLan lan = await NodeLan.CreateAsync(nodes);
            using Interruption interruption = new(lan);
            await using IAgents agents = side == "kcore" ? new KcoreAgents(lan, options.Mdns) : new SerfAgents(lan);
            var course = new Course(agents, lan, options, results);
            try
            {
                await course.RunAsync();
            }
            catch (TimeoutException e)
            {
                // What was measured before counts; what came not to its end is told.
                results.Note($"N = {nodes}, run {run + 1}, {side}: broken off: {e.Message}");
            }
        }
    }
}

results.Note($"load average after: {File.ReadAllText("/proc/loadavg").Trim()}");
results.Print();
return 0;
