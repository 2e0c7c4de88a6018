using System.Globalization;
using Kcore.Bench.Consensus;
using Kcore.TestKit.Processes;

// Committing an allocation in real kcored daemons beside committing a record in real etcd, and beside what the disk takes:
// same machine, same hosts, same directory, in turn.
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

if ((await Command.RunAsync("sh", ["-c", "command -v strace"])).ExitCode != 0)
{
    Console.Error.WriteLine("installing the Debian package strace");
    (await Command.RunAsync(
        "apt-get", ["-qq", "-y", "-o", "DPkg::Lock::Timeout=120", "install", "--no-install-recommends", "strace"],
        new Dictionary<string, string>(StringComparer.Ordinal) { ["DEBIAN_FRONTEND"] = "noninteractive" }, limit: TimeSpan.FromMinutes(5))).OrThrow();
}

if (options.Wants("etcd"))
{
    await EtcdPrograms.UnpackAsync();
}

Results results = new();
string etcd = options.Wants("etcd") ? (await Command.OutputAsync(EtcdPrograms.Server, "--version")).Split('\n')[0] : "no etcd";
results.Note(string.Create(
    CultureInfo.InvariantCulture,
    $"{Environment.ProcessorCount} cores, kernel {Environment.OSVersion.Version}, {etcd}, load average before: {File.ReadAllText("/proc/loadavg").Trim()}"));
for (int round = 0; round < options.Rounds; round++)
{
    foreach (int nodes in options.Nodes)
    {
        Console.Error.WriteLine($"round {round + 1} of {options.Rounds}, load average {File.ReadAllText("/proc/loadavg").Trim()}");
        await new Round(options, results, nodes).RunAsync();
    }
}

results.Note($"load average after: {File.ReadAllText("/proc/loadavg").Trim()}");
results.Print();
return 0;
