using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Parsing;

namespace Kcore.Daemon.Hosting;

/// <summary>The flags of <c>kcored recover</c>.</summary>
internal sealed record RecoverFlags(string[] Survivors, string[] Lost, bool Show, bool Yes);

/// <summary>The flags of <c>kcored</c>, each mapped to the configuration key it is a spelling of.</summary>
internal static class CommandLine
{
    /// <summary>Exit code for settings the daemon cannot start with.</summary>
    public const int UsageError = 2;

    public const string DefaultConfigFile = "/etc/kcore/kcored.yaml";

    private static readonly (string Flag, string Key, string Help)[] Settings =
    [
        ("--data-dir", "Node:DataDir", "Directory of the durable state"),
        ("--socket", "Node:Socket", "Unix socket of the API"),
        ("--node-name", "Node:Name", "Name of this node; default: the host name"),
        ("--advertise", "Node:Advertise", "Address or interface the others reach this node at"),
        ("--supervisor", "Node:Supervisor", "systemd or process: who keeps helper processes"),
        ("--log-level", "Node:LogLevel", "Verbose, Debug, Information, Warning or Error"),
        ("--gossip-port", "Cluster:GossipPort", "Gossip port, UDP and TCP"),
        ("--raft-port", "Cluster:RaftPort", "Raft port, TCP"),
        ("--join", "Cluster:Join", "HOST[:PORT][,...] of members to ask first"),
        ("--discovery", "Cluster:Discovery", "mdns or off"),
        ("--cluster-key-file", "Cluster:KeyFile", "File holding the cluster key"),
        ("--found", "Cluster:Found", "auto or never: found a cluster when none answers"),
        ("--membership-profile", "Membership:Profile", "lan or lan-safe: how long a silent host is waited for"),
        ("--gateway-interface", "Dataplane:GatewayInterface", "Device guests leave the host by"),
    ];

    /// <summary>
    /// Parses the arguments; <paramref name="run"/> gets the configuration file (null: none named, none at the default place)
    /// and the settings given as flags.
    /// </summary>
    /// <returns>The exit code; <see cref="UsageError"/> for a flag that does not exist.</returns>
    public static Task<int> InvokeAsync(
        string[] args,
        Func<string?, Dictionary<string, string?>, CancellationToken, Task<int>> run,
        Func<string?, Dictionary<string, string?>, RecoverFlags, int> recover)
    {
        var config = new Option<string?>("--config") { Description = $"Configuration file (YAML); default: {DefaultConfigFile} when it exists" };
        var disableVxlan = new Option<bool>("--disable-vxlan") { Description = "Take no part in overlays" };
        var noDefaultNetwork = new Option<bool>("--no-default-network") { Description = "Make no network 'default' on this node" };
        var root = new RootCommand("Kcore daemon: one shared network for hosts that run VMs, without a controller.") { config, disableVxlan, noDefaultNetwork };
        var options = new List<(Option<string?> Option, string Key)>();
        foreach ((string flag, string key, string help) in Settings)
        {
            var option = new Option<string?>(flag) { Description = help };
            options.Add((option, key));
            root.Options.Add(option);
        }

        root.SetAction((parsed, token) =>
        {
            var values = new Dictionary<string, string?>(StringComparer.OrdinalIgnoreCase);
            foreach ((Option<string?> option, string key) in options)
            {
                if (parsed.GetValue(option) is { } value)
                {
                    values[key] = value;
                }
            }

            if (parsed.GetValue(disableVxlan))
            {
                values["Dataplane:DisableVxlan"] = "true";
            }

            if (parsed.GetValue(noDefaultNetwork))
            {
                values["Dataplane:DefaultNetwork"] = "false";
            }

            string? file = parsed.GetValue(config) ?? (File.Exists(DefaultConfigFile) ? DefaultConfigFile : null);
            return run(file, values, token);
        });
        root.Subcommands.Add(BuildRecover(recover));
        ParseResult result = root.Parse(args);
        if (result.Action is not HelpAction && result.Errors is [ParseError first, ..])
        {
            Console.Error.WriteLine($"kcored: {first.Message} (kcored --help lists the flags)");
            return Task.FromResult(UsageError);
        }

        return result.InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = null });
    }

    private static Command BuildRecover(Func<string?, Dictionary<string, string?>, RecoverFlags, int> recover)
    {
        var config = new Option<string?>("--config") { Description = $"Configuration file (YAML); default: {DefaultConfigFile} when it exists" };
        var dataDirectory = new Option<string?>("--data-dir") { Description = "Directory of the durable state" };
        var show = new Option<bool>("--show") { Description = "Only print how far this node's copy of the log goes" };
        var survivors = new Option<string[]>("--survivor") { Description = "A node of the log whose disk exists, as its own --show prints it", HelpName = "NODE=TERM:INDEX" };
        var lost = new Option<string[]>("--lost") { Description = "A node of the log whose disk is gone for good", HelpName = "NODE" };
        var yes = new Option<bool>("--yes") { Description = "Do it; otherwise only say what would be done" };
        var command = new Command("recover", "With the daemon stopped: have a cluster that lost the disks of most voters go on from this node's copy of its log.")
        {
            config, dataDirectory, show, survivors, lost, yes,
        };
        command.SetAction(parsed =>
        {
            var values = new Dictionary<string, string?>(StringComparer.OrdinalIgnoreCase);
            if (parsed.GetValue(dataDirectory) is { } directory)
            {
                values["Node:DataDir"] = directory;
            }

            string? file = parsed.GetValue(config) ?? (File.Exists(DefaultConfigFile) ? DefaultConfigFile : null);
            return recover(file, values, new RecoverFlags(
                parsed.GetValue(survivors) ?? [], parsed.GetValue(lost) ?? [], parsed.GetValue(show), parsed.GetValue(yes)));
        });
        return command;
    }
}
