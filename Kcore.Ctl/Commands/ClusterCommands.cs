using System.CommandLine;
using Kcore.Contracts;
using Kcore.Ctl.Client;
using Kcore.Ctl.Output;

namespace Kcore.Ctl.Commands;

/// <summary>What concerns the cluster as a whole.</summary>
internal static class ClusterCommands
{
    public static Command Build(Func<ParseResult, Session> open) =>
        new("cluster", "Look at and steer the cluster: its voters, its keys, who joins.") { Status(open), TransferLeader(open), RecoverFinalize(open), Keys(open), RotateKey(open), Token(open), Join(open) };

    public static Command BuildDiscover(Func<ParseResult, Session> open)
    {
        var command = new Command("discover", "List the nodes heard on the LAN, of this cluster and of others.");
        command.SetAction(parsed =>
        {
            Session session = open(parsed);
            session.PrintList(session.Client.Get(Routes.Neighbours), Replies.Json.ImmutableArrayLanNeighbour, KeyText.WriteNeighbours, n => n.Id);
            return (int)ExitCode.Done;
        });
        return command;
    }

    private static Command Status(Func<ParseResult, Session> open)
    {
        var command = new Command("status", "Show the voters, how far each is, and how many more may fail; exits with 9 when something is degraded.");
        command.SetAction(parsed =>
        {
            Session session = open(parsed);
            byte[] body = session.Client.Get(Routes.Cluster);
            ClusterReport report = Replies.Read(body, Replies.Json.ClusterReport);
            session.Print(body, Replies.Json.ClusterReport, ClusterText.Write, name: null);
            return (int)(report.Degraded.OrEmpty().IsEmpty ? ExitCode.Done : ExitCode.Degraded);
        });
        return command;
    }

    private static Command TransferLeader(Func<ParseResult, Session> open)
    {
        var node = new Argument<string?>("NODE") { Arity = ArgumentArity.ZeroOrOne, Description = "a voter, by name or id; the one that is furthest when left out" };
        var command = new Command("transfer-leader", "Have another voter lead, without a gap.") { node };
        command.SetAction(parsed =>
        {
            Session session = open(parsed);
            var request = new TransferLeaderRequest { Node = parsed.GetValue(node) };
            byte[] body = session.Client.Post(Routes.TransferLeader, request, Replies.Json.TransferLeaderRequest);
            session.Print(
                body,
                Replies.Json.ChangeReceipt,
                (output, receipt) => output.WriteLine(Printable.Of($"node {receipt.Name} leads")),
                r => r.Name);
            return (int)ExitCode.Done;
        });
        return command;
    }

    private static Command RecoverFinalize(Func<ParseResult, Session> open)
    {
        var command = new Command("recover-finalize", "After kcored recover, when every node that still exists has joined: free the addresses that are held back.");
        command.SetAction(parsed =>
        {
            Session session = open(parsed);
            byte[] body = session.Client.Post(Routes.RecoverFinalize);
            session.Print(
                body,
                Replies.Json.ChangeReceipt,
                (output, _) => output.WriteLine("the recovery is finished: what was held back is granted again, after all other addresses and a rest"),
                r => r.Name);
            return (int)ExitCode.Done;
        });
        return command;
    }

    private static Command Token(Func<ParseResult, Session> open)
    {
        var command = new Command("token", "Print the line that lets another node join; as secret as the cluster's key.");
        command.SetAction(parsed =>
        {
            Session session = open(parsed);
            byte[] body = session.Client.Post(Routes.ClusterToken);
            session.Print(body, Replies.Json.JoinTokenReply, (output, reply) => output.WriteLine(Printable.Of(reply.Token)), reply => reply.Token);
            return (int)ExitCode.Done;
        });
        return command;
    }

    private static Command Join(Func<ParseResult, Session> open)
    {
        var token = new Argument<string?>("TOKEN") { Arity = ArgumentArity.ZeroOrOne, Description = "what kctl cluster token prints on a member; - reads it from standard input" };
        var command = new Command("join", "Take this node to the cluster a token is for.") { token };
        command.SetAction(parsed =>
        {
            Session session = open(parsed);
            string? given = parsed.GetValue(token)?.Trim();
            given = given == "-" ? Console.In.ReadLine()?.Trim() : given;
            if (string.IsNullOrEmpty(given))
            {
                throw CommandFailure.Invalid("a token is required", "kctl cluster token, on a member, prints one");
            }

            byte[] body = session.Client.Post(Routes.ClusterJoin, new JoinClusterRequest { Token = given }, Replies.Json.JoinClusterRequest);
            session.Print(body, Replies.Json.ChangeReceipt, Receipts.Write, r => r.Name);
            return (int)ExitCode.Done;
        });
        return command;
    }

    private static Command Keys(Func<ParseResult, Session> open)
    {
        var command = new Command("keys", "Show the cluster's keys and who holds which; never a key itself.");
        command.SetAction(parsed =>
        {
            Session session = open(parsed);
            Print(session, session.Client.Get(Routes.ClusterKeys));
            return (int)ExitCode.Done;
        });
        return command;
    }

    private static Command RotateKey(Func<ParseResult, Session> open)
    {
        var retireAfter = new Option<string?>("--retire-after")
        {
            Description = "how long older keys stay valid once the new one is active, 10s to 720h (default 24h)",
            HelpName = "DURATION",
        };
        var command = new Command("rotate-key", "Make a new cluster key and move every member to it, without a stop.") { retireAfter };
        command.SetAction(parsed =>
        {
            Session session = open(parsed);
            var request = new RotateKeyRequest
            {
                RetireAfterSeconds = parsed.GetValue(retireAfter) is { } text ? (int)Durations.Parse(text, TimeSpan.FromDays(30)).TotalSeconds : null,
            };
            Print(session, session.Client.Post(Routes.ClusterKeys, request, Replies.Json.RotateKeyRequest));
            if (session.IsText)
            {
                session.Surroundings.Error.WriteLine("The members take the key by themselves, then all use it: kctl cluster keys shows how far they are.");
            }

            return (int)ExitCode.Done;
        });
        return command;
    }

    private static void Print(Session session, byte[] body)
    {
        if (session.Format == OutputFormat.Name)
        {
            foreach (ClusterKey key in Replies.Read(body, Replies.Json.ClusterKeys).Keys.OrEmpty())
            {
                session.Out.WriteLine(Printable.Of(key.Id));
            }

            return;
        }

        session.Print(body, Replies.Json.ClusterKeys, (output, keys) => KeyText.Write(output, keys, session.IsWide), name: null);
    }
}
