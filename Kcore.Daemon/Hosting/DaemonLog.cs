using System.Globalization;
using Microsoft.Extensions.Logging;
using Serilog;
using Serilog.Core;
using Serilog.Events;
using Serilog.Extensions.Logging;

namespace Kcore.Daemon.Hosting;

/// <summary>Structured lines on standard output, where systemd's journal (or whoever started us) collects them.</summary>
internal sealed class DaemonLog : IDisposable
{
    // The journal stamps time and unit by itself; on a terminal or in a file the time is wanted.
    private const string Template = "{Timestamp:yyyy-MM-ddTHH:mm:ss.ffffffzzz} {Level:u3} [{EventId}] {Message:lj}{NewLine}{Exception}";
    private const string JournalTemplate = "{Level:u3} [{EventId}] {Message:lj}{NewLine}{Exception}";

    private readonly Logger _logger;

    public DaemonLog(string level)
    {
        bool journal = Environment.GetEnvironmentVariable("JOURNAL_STREAM") is not null;
        _logger = new LoggerConfiguration()
            .MinimumLevel.Is(Level(level))
            .MinimumLevel.Override("Microsoft", LogEventLevel.Warning)
            .Enrich.With<EventNumber>()
            .WriteTo.Console(outputTemplate: journal ? JournalTemplate : Template, formatProvider: CultureInfo.InvariantCulture)
            .CreateLogger();
        Provider = new SerilogLoggerProvider(_logger);
        Factory = new SerilogLoggerFactory(_logger);
    }

    public ILoggerProvider Provider { get; }

    public ILoggerFactory Factory { get; }

    /// <summary>The level a word of the configuration stands for: people write <c>info</c>, the library says <c>Information</c>.</summary>
    public static LogEventLevel Level(string word) => word.ToUpperInvariant() switch
    {
        "TRACE" or "VERBOSE" => LogEventLevel.Verbose,
        "DEBUG" => LogEventLevel.Debug,
        "INFO" or "INFORMATION" => LogEventLevel.Information,
        "WARN" or "WARNING" => LogEventLevel.Warning,
        "ERROR" => LogEventLevel.Error,
        _ => throw new ArgumentOutOfRangeException(nameof(word), word, "not a log level"),
    };

    public void Dispose()
    {
        Factory.Dispose();
        _logger.Dispose();
    }

    /// <summary>Reduces the event id to its number: the name stands in the message already.</summary>
    private sealed class EventNumber : ILogEventEnricher
    {
        public void Enrich(LogEvent logEvent, ILogEventPropertyFactory propertyFactory)
        {
            if (logEvent.Properties.TryGetValue("EventId", out LogEventPropertyValue? value)
                && value is StructureValue { Properties: var parts }
                && parts.FirstOrDefault(p => p.Name == "Id") is { } id)
            {
                logEvent.AddOrUpdateProperty(new LogEventProperty("EventId", id.Value));
            }
        }
    }
}
