using System.CommandLine;
using Kcore.Contracts;
using Kcore.Ctl.Client;
using Kcore.Ctl.Output;

namespace Kcore.Ctl.Commands;

internal static class GetCommands
{
    public static Command Build(Func<ParseResult, Session> open) =>
        new("get", "List objects.") { Networks(open), Nodes(open), Nics(open), Ips(open) };

    private static Command Networks(Func<ParseResult, Session> open)
    {
        var all = new Option<bool>("--all") { Description = "also the built-in network 'default'" };
        var command = new Command("networks", "List networks.") { all };
        command.Aliases.Add("network");
        command.SetAction(parsed =>
        {
            Session session = open(parsed);
            byte[] body = session.Client.Get(Paths.With(Routes.Networks, "all", parsed.GetValue(all) ? "true" : null));
            session.PrintList(
                body,
                Replies.Json.ImmutableArrayNetworkSummary,
                (output, list) => NetworkText.WriteList(output, list, session.IsWide),
                n => n.Name);
            return (int)ExitCode.Done;
        });
        return command;
    }

    private static Command Nodes(Func<ParseResult, Session> open)
    {
        var command = new Command("nodes", "List the nodes of the cluster.");
        command.Aliases.Add("node");
        command.SetAction(parsed =>
        {
            Session session = open(parsed);
            session.PrintList(
                session.Client.Get(Routes.Nodes),
                Replies.Json.ImmutableArrayNodeSummary,
                (output, list) => NodeText.WriteList(output, list, session.IsWide),
                n => n.Name);
            return (int)ExitCode.Done;
        });
        return command;
    }

    private static Command Nics(Func<ParseResult, Session> open)
    {
        var network = new Option<string?>("--network") { Description = "only those of this network", HelpName = "NETWORK" };
        var command = new Command("nics", "List NICs.") { network };
        command.Aliases.Add("nic");
        command.SetAction(parsed =>
        {
            Session session = open(parsed);
            session.PrintList(
                session.Client.Get(Paths.With(Routes.Nics, "network", parsed.GetValue(network))),
                Replies.Json.ImmutableArrayNicInfo,
                (output, list) => NicText.WriteList(output, list, session.IsWide),
                n => n.Name);
            return (int)ExitCode.Done;
        });
        return command;
    }

    private static Command Ips(Func<ParseResult, Session> open)
    {
        var network = new Option<string?>("--network") { Description = "whose addresses", HelpName = "NETWORK" };
        var local = new Option<bool>("--local") { Description = "what this node knows, without asking whether it is the latest" };
        var command = new Command(
            "ips",
            "List the addresses of a network. Of an overlay a quorum confirms that nothing newer was given; without one the answer takes 2 s and says so.")
        {
            network, local,
        };
        command.Aliases.Add("ip");
        command.SetAction(parsed =>
        {
            Session session = open(parsed);
            bool isLocal = parsed.GetValue(local);
            byte[] body = session.Client.Get(Paths.With(Paths.With(Routes.Ips, "network", parsed.Required(network)), "local", isLocal ? "true" : null));
            if (!isLocal && session.Format is not (OutputFormat.Json or OutputFormat.Yaml)
                && Replies.Read(body, Replies.Json.NetworkAddresses) is { Confirmed: false } doubtful)
            {
                session.Surroundings.Error.WriteLine(Printable.Of(
                    $"not confirmed: {doubtful.Unconfirmed}; shown is what this node knows, up to log index {doubtful.LogIndex}"));
            }

            if (session.Format == OutputFormat.Name)
            {
                foreach (AddressLease lease in Replies.Read(body, Replies.Json.NetworkAddresses).Leases.OrEmpty().Where(l => l is not null))
                {
                    session.Out.WriteLine(Printable.Of(lease.Address));
                }

                return (int)ExitCode.Done;
            }

            session.Print(body, Replies.Json.NetworkAddresses, (output, addresses) => AddressText.Write(output, addresses, session.IsWide), name: null);
            return (int)ExitCode.Done;
        });
        return command;
    }
}
