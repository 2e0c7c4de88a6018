using System.Collections.Frozen;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Kcore.Daemon.Dataplane.Apply;

/// <summary>
/// Which devices of the host we made ports of our bridges, and whether they were up before: on disk, and written before the
/// device is touched, so that it can be given back as it was after any number of restarts.
/// </summary>
internal sealed partial class UplinkJournal
{
    private const int FileMax = 64 * 1024;

    private readonly string _path;
    private FrozenDictionary<string, bool> _before;

    private UplinkJournal(string path, Dictionary<string, bool> before)
    {
        _path = path;
        _before = before.ToFrozenDictionary(StringComparer.Ordinal);
    }

    /// <summary>By device name: whether it was up.</summary>
    public FrozenDictionary<string, bool> Before => _before;

    /// <summary>A file that cannot be understood counts as empty: then nothing is given back, which breaks nobody.</summary>
    /// <exception cref="IOException">The file is there and cannot be read.</exception>
    public static UplinkJournal Open(string path)
    {
        FileInfo file = new(path);
        try
        {
            return new UplinkJournal(
                path,
                file.Exists && file.Length <= FileMax
                    ? JsonSerializer.Deserialize(File.ReadAllBytes(path), UplinkJson.Default.DictionaryStringBoolean) ?? []
                    : []);
        }
        catch (JsonException)
        {
            return new UplinkJournal(path, []);
        }
    }

    /// <summary>What was remembered first stays: only that was the host's own.</summary>
    public void Remember(string device, bool wasUp)
    {
        if (!_before.ContainsKey(device))
        {
            Save(new Dictionary<string, bool>(_before, StringComparer.Ordinal) { [device] = wasUp });
        }
    }

    public void Forget(string device)
    {
        Dictionary<string, bool> rest = new(_before, StringComparer.Ordinal);
        if (rest.Remove(device))
        {
            Save(rest);
        }
    }

    private void Save(Dictionary<string, bool> devices)
    {
        if (devices.Count == 0)
        {
            // Nothing of ours is left: neither should the file be (behaviour 113).
            File.Delete(_path);
        }
        else
        {
            string temporary = _path + ".new";
            using (FileStream stream = new(temporary, FileMode.Create, FileAccess.Write))
            {
                JsonSerializer.Serialize(stream, devices, UplinkJson.Default.DictionaryStringBoolean);
                stream.Flush(flushToDisk: true);
            }

            // As with the settings: what loses a rename, a power failure, loses the bridge as well.
            File.Move(temporary, _path, overwrite: true);
        }

        _before = devices.ToFrozenDictionary(StringComparer.Ordinal);
    }

    [JsonSerializable(typeof(Dictionary<string, bool>))]
    private sealed partial class UplinkJson : JsonSerializerContext;
}
