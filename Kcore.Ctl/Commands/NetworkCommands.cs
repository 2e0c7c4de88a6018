using System.CommandLine;
using Kcore.Contracts;
using Kcore.Ctl.Client;
using Kcore.Ctl.Output;

namespace Kcore.Ctl.Commands;

/// <summary>What an operator decides about the addresses of an overlay.</summary>
internal static class NetworkCommands
{
    public static Command Build(Func<ParseResult, Session> open)
    {
        var command = new Command("network", "Decide about the addresses of a network.") { Reclaim(open), ReleaseOrphans(open) };
        command.Aliases.Add("networks");
        return command;
    }

    private static Command Reclaim(Func<ParseResult, Session> open)
    {
        Argument<string?> name = NameArgument.Create("the network, of type vxlan");
        var command = new Command("reclaim", "Have the addresses given again that were given back, after all others and 10 minutes.") { name };
        command.SetAction(parsed =>
        {
            Session session = open(parsed);
            byte[] body = session.Client.Post(Paths.Network(parsed.Required(name)) + Routes.Reclaim);
            session.Print(body, Replies.Json.ChangeReceipt, Receipts.Write, r => r.Name);
            return (int)ExitCode.Done;
        });
        return command;
    }

    private static Command ReleaseOrphans(Func<ParseResult, Session> open)
    {
        Argument<string?> name = NameArgument.Create("the network, of type vxlan");
        var address = new Option<string?>("--ip") { Description = "only this address", HelpName = "IPV4" };
        var command = new Command("release-orphans", "End the leases whose NIC is known nowhere; be sure that their guests are gone.") { name, address };
        command.SetAction(parsed =>
        {
            Session session = open(parsed);
            byte[] body = session.Client.Post(
                Paths.Network(parsed.Required(name)) + Routes.ReleaseOrphans,
                new ReleaseOrphansRequest { Address = parsed.GetValue(address) },
                Replies.Json.ReleaseOrphansRequest);
            if (session.Format == OutputFormat.Name)
            {
                foreach (string released in Replies.Read(body, Replies.Json.ReleasedOrphans).Released.OrEmpty())
                {
                    session.Out.WriteLine(Printable.Of(released));
                }

                return (int)ExitCode.Done;
            }

            session.Print(body, Replies.Json.ReleasedOrphans, Write, name: null);
            return (int)ExitCode.Done;
        });
        return command;
    }

    private static void Write(TextWriter output, ReleasedOrphans outcome) => output.WriteLine(Printable.Of(
        outcome.Released.OrEmpty() is { IsEmpty: false } released
            ? $"released {string.Join(", ", released)} of network '{outcome.Network}'"
            : $"no address of network '{outcome.Network}' is orphaned"));
}
