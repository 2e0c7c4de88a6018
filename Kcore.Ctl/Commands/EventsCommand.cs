using System.CommandLine;
using System.Text;
using System.Text.Json;
using Kcore.Contracts;
using Kcore.Ctl.Client;
using Kcore.Ctl.Output;

namespace Kcore.Ctl.Commands;

internal static class EventsCommand
{
    public static Command Build(Func<ParseResult, Session> open)
    {
        var since = new Option<long?>("--since") { Description = "only events after this sequence number", HelpName = "SEQUENCE" };
        var follow = new Option<bool>("--follow", "-f") { Description = "go on until interrupted" };
        var command = new Command("events", "Show what happened, one line an event.") { since, follow };
        command.SetAction(parsed =>
        {
            Session session = open(parsed);
            if (session.Format == OutputFormat.Name)
            {
                throw CommandFailure.Invalid("events have no names: -o name does not apply", "-o table|json|yaml");
            }

            bool endless = parsed.GetValue(follow);
            string path = Paths.With(Routes.Events, "since", parsed.GetValue(since)?.ToString(System.Globalization.CultureInfo.InvariantCulture));
            session.Client.Stream(Paths.With(path, "follow", endless ? "true" : null), endless, line =>
            {
                try
                {
                    Write(session, line);
                    if (endless)
                    {
                        session.Out.Flush();
                    }
                }
                catch (IOException e)
                {
                    throw new OperationCanceledException("nobody reads the output any more", e);
                }
            });
            return (int)ExitCode.Done;
        });
        return command;
    }

    private static void Write(Session session, byte[] line)
    {
        switch (session.Format)
        {
            case OutputFormat.Json:
                using (JsonText.Parse(line))
                {
                    session.Out.WriteLine(Printable.Json(Encoding.UTF8.GetString(line)).Trim());
                }

                break;
            case OutputFormat.Yaml:
                using (JsonDocument document = JsonText.Parse(line))
                {
                    session.Out.WriteLine("---");
                    session.Out.Write(YamlText.Of(document.RootElement));
                }

                break;
            default:
                session.Out.WriteLine(EventText.Line(Replies.Read(line, Replies.Json.EventInfo)));
                break;
        }
    }
}
