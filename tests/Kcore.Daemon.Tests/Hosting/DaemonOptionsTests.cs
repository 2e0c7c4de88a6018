using Kcore.Daemon.Hosting;
using Serilog.Events;

namespace Kcore.Daemon.Tests.Hosting;

public sealed class DaemonOptionsTests : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("kcore-options-");

    [Fact]
    public void Without_any_setting_the_documented_defaults_hold()
    {
        DaemonOptions options = Load("");

        Assert.Equal(("/var/lib/kcore", "/run/kcore/kcored.sock", "info"), (options.Node.DataDir, options.Node.Socket, options.Node.LogLevel));
        Assert.Equal((7946, 7947, "mdns", "auto"), (options.Cluster.GossipPort, options.Cluster.RaftPort, options.Cluster.Discovery, options.Cluster.Found));
        Assert.False(options.Dataplane.DisableVxlan);
    }

    [Fact]
    public void Of_the_three_spellings_of_a_setting_the_later_wins()
    {
        const string Yaml = "cluster: { gossipPort: 1001 }";
        Assert.Equal(1001, Load(Yaml).Cluster.GossipPort);
        Environment.SetEnvironmentVariable("KCORE_Cluster__GossipPort", "1002");
        try
        {
            Assert.Equal(1002, Load(Yaml).Cluster.GossipPort);
            Assert.Equal(1003, Load(Yaml, ("Cluster:GossipPort", "1003")).Cluster.GossipPort);
        }
        finally
        {
            Environment.SetEnvironmentVariable("KCORE_Cluster__GossipPort", null);
        }
    }

    [Fact]
    public async Task Every_flag_is_a_spelling_of_its_setting()
    {
        string config = Write("node: { name: from-file }");
        DaemonOptions? seen = null;
        int code = await CommandLine.InvokeAsync(
            [
                "--config", config, "--data-dir", "/d", "--socket", "/s", "--node-name", "n", "--advertise", "eth1", "--supervisor", "process",
                "--log-level", "debug", "--gossip-port", "1", "--raft-port", "2", "--join", "a:1,b", "--discovery", "off", "--cluster-key-file", "/k",
                "--found", "never", "--gateway-interface", "wan0", "--disable-vxlan",
            ],
            (file, flags, _) =>
            {
                seen = DaemonOptions.Load(file, flags);
                return Task.FromResult(0);
            },
            (_, _, _) => 99);

        Assert.Equal(0, code);
        Assert.NotNull(seen);
        Assert.Equal(("/d", "/s", "n", "eth1", "process", "debug"), (seen.Node.DataDir, seen.Node.Socket, seen.Node.Name, seen.Node.Advertise, seen.Node.Supervisor, seen.Node.LogLevel));
        Assert.Equal((1, 2, "a:1,b", "off", "/k", "never"), (seen.Cluster.GossipPort, seen.Cluster.RaftPort, seen.Cluster.Join, seen.Cluster.Discovery, seen.Cluster.KeyFile, seen.Cluster.Found));
        Assert.Equal(("wan0", true), (seen.Dataplane.GatewayInterface, seen.Dataplane.DisableVxlan));
    }

    [Fact]
    public void The_case_of_a_setting_does_not_matter() => Assert.Equal(5, Load("CLUSTER: { GOSSIPPORT: 5 }").Cluster.GossipPort);

    [Fact]
    public void An_empty_value_is_a_setting_not_given()
    {
        DaemonOptions options = Load("node: { name: , dataDir: '' }\ncluster:\n", ("Cluster:GossipPort", ""));

        Assert.Null(options.Node.Name);
        Assert.Equal("/var/lib/kcore", options.Node.DataDir);
        Assert.Equal(7946, options.Cluster.GossipPort);
    }

    [Fact]
    public void An_unknown_section_is_refused_with_the_known_ones_named() =>
        Refused("clutser: { gossipPort: 1 }", "'clutser'", "cluster, dataplane, membership, node");

    [Fact]
    public void An_unknown_setting_is_refused_with_the_known_ones_named() =>
        Refused("cluster: { port: 1 }", "cluster.port", "discovery, found, gossipPort, join, keyFile, raftPort");

    [Theory]
    [InlineData("cluster: { gossipPort: [1, 2] }", "cluster.gossipPort")]
    [InlineData("cluster: 5", "'cluster'")]
    [InlineData("hello", "cluster, dataplane, membership, node")]
    [InlineData("- a\n- b", "cluster, dataplane, membership, node")]
    [InlineData("cluster: { gossipPort: 1", "kcored.yaml")]
    [InlineData("cluster: { gossipPort: 1, gossipPort: 2 }", "kcored.yaml")]
    public void What_is_no_configuration_is_refused(string yaml, string named) => Refused(yaml, named);

    [Fact]
    public void Every_wrong_value_is_told_at_once_by_the_name_it_has_in_the_file() => Refused(
        """
        node: { name: -x, logLevel: loud, supervisor: upstart }
        cluster: { gossipPort: many, raftPort: 0, discovery: dns, found: maybe }
        dataplane: { disableVxlan: perhaps, gatewayInterface: far-too-long-a-name }
        """,
        "node.name:",
        "node.logLevel:",
        "node.supervisor:",
        "cluster.gossipPort: a number, not 'many'",
        "cluster.raftPort: 1 to 65535",
        "cluster.discovery:",
        "cluster.found:",
        "dataplane.disableVxlan: true or false, not 'perhaps'",
        "dataplane.gatewayInterface:");

    [Theory]
    [InlineData("65536")]
    [InlineData("-1")]
    [InlineData("99999999999999999999")]
    [InlineData("7946 ")]
    public void A_port_is_a_number_from_1_to_65535(string port) =>
        Assert.Contains("cluster.gossipPort", Assert.Throws<ConfigurationException>(() => Load("", ("Cluster:GossipPort", port))).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("debug", LogEventLevel.Debug)]
    [InlineData("info", LogEventLevel.Information)]
    [InlineData("Information", LogEventLevel.Information)]
    [InlineData("WARN", LogEventLevel.Warning)]
    [InlineData("trace", LogEventLevel.Verbose)]
    public void A_log_level_may_be_written_short_or_long(string word, LogEventLevel level) =>
        Assert.Equal(level, DaemonLog.Level(Load("", ("Node:LogLevel", word)).Node.LogLevel));

    [Fact]
    public void A_file_that_was_named_must_be_there() =>
        Assert.Contains("absent.yaml", Assert.Throws<ConfigurationException>(() => DaemonOptions.Load(Path.Combine(_directory.FullName, "absent.yaml"), [])).Message, StringComparison.Ordinal);

    [Fact]
    public void A_file_larger_than_any_honest_one_is_not_read() => Refused("# " + new string('x', 256 * 1024), "larger than");

    public void Dispose() => _directory.Delete(recursive: true);

    private string Write(string yaml)
    {
        string path = Path.Combine(_directory.FullName, "kcored.yaml");
        File.WriteAllText(path, yaml);
        return path;
    }

    private DaemonOptions Load(string yaml, params (string Key, string? Value)[] flags) =>
        DaemonOptions.Load(Write(yaml), flags.ToDictionary(f => f.Key, f => f.Value));

    private void Refused(string yaml, params string[] texts)
    {
        string message = Assert.Throws<ConfigurationException>(() => Load(yaml)).Message;
        Assert.All(texts, text => Assert.Contains(text, message, StringComparison.Ordinal));
    }
}
