using System.CommandLine;
using Kcore.Contracts;
using Kcore.Ctl.Client;

namespace Kcore.Ctl.Commands;

/// <summary>The life's end of nodes.</summary>
internal static class NodeCommands
{
    public static Command Build(Func<ParseResult, Session> open)
    {
        var command = new Command("node", "Take nodes out of the cluster, or change what a node has of its own.") { Drain(open), Leave(open), Remove(open), Reset(open), RotateWireguardKey(open) };
        command.Aliases.Add("nodes");
        return command;
    }

    private static Command Drain(Func<ParseResult, Session> open)
    {
        var undo = new Option<bool>("--undo") { Description = "take NICs, and a vote, again" };
        var command = new Command("drain", "Have this node take no new NICs and hand its vote on; what it has goes on.") { undo };
        command.SetAction(parsed => Print(open(parsed), s => s.Client.Post(Routes.Drain, new DrainRequest { Undo = parsed.GetValue(undo) }, Replies.Json.DrainRequest)));
        return command;
    }

    private static Command Leave(Func<ParseResult, Session> open)
    {
        var force = new Option<bool>("--force") { Description = "also while it has NICs: they are detached, which cuts their guests off" };
        var command = new Command("leave", "Take this node out of its cluster.") { force };
        command.SetAction(parsed => Print(open(parsed), s => s.Client.Post(Routes.Leave, new LeaveRequest { Force = parsed.GetValue(force) }, Replies.Json.LeaveRequest)));
        return command;
    }

    private static Command Remove(Func<ParseResult, Session> open)
    {
        var node = new Argument<string?>("NODE") { Arity = ArgumentArity.ZeroOrOne, Description = "name or id of the node" };
        var force = new Option<bool>("--force") { Description = "also while it is alive or has NICs: their addresses are given up, never given out again" };
        var command = new Command("remove", "Remove another node for good; it comes back only after kctl node reset on it.") { node, force };
        command.SetAction(parsed => Print(
            open(parsed),
            s => s.Client.Delete(Paths.With(Paths.Node(parsed.Required(node)), "force", parsed.GetValue(force) ? "true" : null))));
        return command;
    }

    private static Command Reset(Func<ParseResult, Session> open)
    {
        var force = new Option<bool>("--force") { Description = "also while it has NICs, or is a member of a cluster it has not left" };
        var key = new Option<bool>("--forget-key") { Description = "also the cluster key: the node makes one of its own" };
        var command = new Command("reset", "Have this node forget its cluster, its identity and its networks, and begin anew.") { force, key };
        command.SetAction(parsed => Print(
            open(parsed),
            s => s.Client.Post(Routes.Reset, new ResetRequest { Force = parsed.GetValue(force), ForgetKey = parsed.GetValue(key) }, Replies.Json.ResetRequest)));
        return command;
    }

    private static Command RotateWireguardKey(Func<ParseResult, Session> open)
    {
        var command = new Command("rotate-wireguard-key", "Make this node a new key for encrypted networks; they pause for moments and never go in clear.");
        command.SetAction(parsed => Print(open(parsed), s => s.Client.Post(Routes.WireguardKey)));
        return command;
    }

    private static int Print(Session session, Func<Session, byte[]> ask)
    {
        session.Print(ask(session), Replies.Json.ChangeReceipt, Receipts.Write, r => r.Name);
        return (int)ExitCode.Done;
    }
}
