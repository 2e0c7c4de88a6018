using System.CommandLine;
using Kcore.Contracts;
using Kcore.Ctl.Client;
using Kcore.Ctl.Output;

namespace Kcore.Ctl.Commands;

/// <summary>What concerns the cluster as a whole.</summary>
internal static class ClusterCommands
{
    public static Command Build(Func<ParseResult, Session> open) =>
        new("cluster", "Look after the cluster's keys.") { Keys(open), RotateKey(open) };

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
